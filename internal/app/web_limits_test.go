package app_test

import (
	"io"
	"testing"
	"time"

	"overstay/internal/app"
)

// A header has to come within idle, however steadily its bytes do.
func TestIdleBoundsTheHeader(t *testing.T) {
	r := serve(t, func(cfg *app.Config) {
		for i := range cfg.Services {
			cfg.Services[i].Idle = app.Duration(500 * time.Millisecond)
		}
	})
	c := r.dial("127.0.0.1")
	begun := time.Now()
	for _, err := io.WriteString(c, "GET /"); err == nil; _, err = io.WriteString(c, "x") {
		if time.Since(begun) > 15*time.Second {
			t.Fatal("it still comes")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
