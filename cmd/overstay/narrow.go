package main

import (
	"slices"
	"strings"

	"overstay/detector/occupancy"
)

// dispensable are the columns of a ranking that are left out, the first ones
// first, where a terminal is too narrow for all.
var dispensable = []string{"FIRST", " PEAK", " REFUSED", " CONNS", " SHARE", " FAILS", " UNPROVEN", "LAST"}

// headOf is the head of the column that is ranked by.
func headOf(by occupancy.By) string {
	return map[occupancy.By]string{
		occupancy.ByThreadTime: " HELD", occupancy.ByConnections: " CONNS", occupancy.ByPeak: " PEAK", occupancy.ByLoad: " LOAD",
		occupancy.ByBlame: " BLAME", occupancy.ByFails: " FAILS", occupancy.ByRefused: " REFUSED",
	}[by]
}

// narrowed leaves out of a table the columns that can be done without, but for
// the one to keep, until it is not wider than a terminal of so many columns;
// it returns their heads.
func narrowed(head []string, rows [][]string, keep string, columns int) (left []string, cells [][]string, out []string) {
	rows = slices.Clone(rows)
	for _, one := range dispensable {
		i := slices.Index(head, one)
		if sum(widths(head, rows)) <= columns {
			break
		}
		if i < 0 || one == keep {
			continue
		}
		head, out = slices.Delete(slices.Clone(head), i, i+1), append(out, strings.TrimSpace(one))
		for k := range rows {
			rows[k] = slices.Delete(slices.Clone(rows[k]), i, i+1)
		}
	}
	return head, rows, out
}

// sum is how wide a table is, with two blanks between its columns.
func sum(widths []int) int {
	all := 2 * (len(widths) - 1)
	for _, w := range widths {
		all += w
	}
	return all
}
