package score

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"overstay/internal/traffic"
)

// All plays scenarios for each seed, as many at the same time as there are
// processors. The rows are in the order of the scenarios.
func All(scenarios []traffic.Scenario, o Options, seeds ...uint64) ([]Row, error) {
	results := make([]Row, len(scenarios)*len(seeds))
	errs := make([]error, len(results))
	var next atomic.Int64
	var players sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(results) {
					return
				}
				results[n], errs[n] = play(&scenarios[n/len(seeds)], o, seeds[n%len(seeds)])
			}
		})
	}
	players.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	rows := make([]Row, len(scenarios))
	for i := range scenarios {
		rows[i] = newRow(&scenarios[i])
		for j := range seeds {
			rows[i].add(&results[i*len(seeds)+j])
		}
	}
	return rows, nil
}
