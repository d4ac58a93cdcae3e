package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"overstay/connlog/formats"
)

// Map makes the format one of the log's own columns or keys: what each means
// is the name of one, as in "address" for "client.ip". "unit" is that of the
// duration, as s, ms or us, "comma" what stands between columns, and "service"
// the name of the service itself.
func (f *LogFormat) Map(meaning map[string]string) error {
	for what, name := range meaning {
		if err := f.mapOne(what, name); err != nil {
			return &FormatError{err}
		}
	}
	return nil
}

func (f *LogFormat) mapOne(what, name string) (err error) {
	m := &f.Mapping
	switch what {
	case "unit":
		if m.Unit, err = time.ParseDuration("1" + name); err != nil || m.Unit <= 0 {
			err = fmt.Errorf("unit %q is none such as s, ms or us", name)
		}
	case "comma":
		if name == `\t` || name == "tab" {
			name = "\t"
		}
		if len(name) != 1 {
			return fmt.Errorf("comma %q is no single character", name)
		}
		f.Comma = name[0]
	default:
		to := map[string]*string{
			"address": &m.Address, "peer": &m.Peer, "port": &m.Port, "begin": &m.Begin, "end": &m.End, "duration": &m.Duration,
			"status": &m.Status, "user": &m.User, "bytes_in": &m.BytesIn, "bytes_out": &m.BytesOut, "service": &m.Service,
		}[what]
		if to == nil {
			return fmt.Errorf("nothing can be mapped to %q; there are %s", what, strings.Join(Mappable(), ", "))
		}
		*to = name
	}
	return err
}

// Mappable are the meanings that Map knows.
func Mappable() []string {
	return []string{"address", "peer", "port", "begin", "end", "duration", "unit", "status", "user", "bytes_in", "bytes_out", "service", "comma"}
}

// FormatNames are the names that a LogFormat may have.
func FormatNames() []string {
	names := []string{AutoFormat}
	for _, f := range formats.All() {
		names = append(names, f.Name)
	}
	return slices.Concat(names, []string{csvFormat, jsonFormat})
}
