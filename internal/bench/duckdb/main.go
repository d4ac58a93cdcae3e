// Command duckdb adds up a connection log with DuckDB, as one would who has no
// other tool: what each address held, the largest first. It stands in a module
// of its own, so that nothing else depends on DuckDB.
//
//	go run . connections.log
package main

import (
	"database/sql"
	"fmt"
	"io"
	"os"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "duckdb:", err)
		os.Exit(1)
	}
}

const sums = `
select client_ip, count(*), sum(held_us)
from read_json($1, format = 'newline_delimited', ignore_errors = true,
	columns = {event: 'VARCHAR', client_ip: 'VARCHAR', held_us: 'BIGINT'})
where event = 'close'
group by client_ip
order by 3 desc
limit 10`

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("one log is wanted, not %d", len(args))
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.Query(sums, args[0])
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var address string
		var connections, held int64
		if err := rows.Scan(&address, &connections, &held); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\t%d\t%.3f\n", address, connections, float64(held)/1e6)
	}
	return rows.Err()
}
