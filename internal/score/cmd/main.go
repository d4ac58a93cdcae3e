// Command cmd prints how the default policies do in each scenario: whom they
// find, whom they harm, how soon they act, and what is left of the refusals.
//
//	go run ./internal/score/cmd --seeds 20
//
// The table goes to stdout and is the same each time; what is not as it ought
// to be goes to stderr, in words. It is not part of what is installed.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"overstay/detector"
	"overstay/internal/score"
	"overstay/internal/traffic"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		os.Exit(1)
	}
}

func run(args []string, out, faults io.Writer) error {
	flags := pflag.NewFlagSet("scenarios", pflag.ContinueOnError)
	number := flags.Int("seeds", 20, "seeds for each scenario")
	first := flags.Uint64("first", 1, "the first of the seeds")
	only := flags.StringSlice("only", nil, "scenarios to play (default: all)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scenarios := slices.DeleteFunc(traffic.Scenarios(), func(s traffic.Scenario) bool {
		return len(*only) > 0 && !slices.Contains(*only, s.Name)
	})
	var seeds []uint64
	for i := range max(*number, 0) {
		seeds = append(seeds, *first+uint64(i))
	}
	rows, err := score.All(scenarios, score.Options{Policies: detector.DefaultPolicies()}, seeds...)
	if err != nil {
		return err
	}
	for i := range rows {
		for _, f := range rows[i].Faults() {
			fmt.Fprintf(faults, "%s: %s\n", rows[i].Scenario, f)
		}
	}
	return score.Write(out, rows)
}
