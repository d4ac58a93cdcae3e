package app

import (
	"cmp"
	"reflect"
	"strings"
	"time"

	"overstay/detector"
)

// defaults returns the settings of a service of this protocol.
func (s Service) defaults() Service {
	return defaultService(cmp.Or(s.Protocol, s.Name))
}

// defaults returns the built-in policy of this name, so that a file can change
// one thing of it, and a careful beginning for any other.
func (p Policy) defaults() Policy {
	for _, built := range DefaultPolicies() {
		if built.Name == p.Name {
			return built
		}
	}
	return Policy{Level: detector.LevelAddress, Action: "suggest", Duration: Duration(10 * time.Minute), Factor: 1}
}

// fillEach gives each entry of a list the defaults of what the file, whose
// words said are, did not say about it. What it says counts, also if it is
// nothing.
func fillEach[T any](entries []T, said any, defaults func(T) T) {
	tables, _ := said.([]any)
	for i := range entries {
		var table map[string]any
		if i < len(tables) {
			table, _ = tables[i].(map[string]any)
		}
		fill(reflect.ValueOf(&entries[i]).Elem(), reflect.ValueOf(defaults(entries[i])), table)
	}
}

func fill(to, defaults reflect.Value, said map[string]any) {
	for i := range to.NumField() {
		field := to.Type().Field(i)
		value, ok := said[field.Tag.Get("toml")]
		if table, isTable := value.(map[string]any); isTable {
			fill(to.Field(i), defaults.Field(i), table)
		} else if !ok {
			to.Field(i).Set(defaults.Field(i))
		}
	}
}

// bareNumber returns the key of a length of time that said gives as a number,
// or nothing. Said is what a file says about a t.
func bareNumber(t reflect.Type, said any) string {
	switch said := said.(type) {
	case int64:
		if t == reflect.TypeFor[Duration]() {
			return "."
		}
	case []any:
		for i := 0; i < len(said) && t.Kind() == reflect.Slice; i++ {
			if key := bareNumber(t.Elem(), said[i]); key != "" {
				return key
			}
		}
	case map[string]any:
		for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
			name := t.Field(i).Tag.Get("toml")
			if key := bareNumber(t.Field(i).Type, said[name]); key != "" {
				return strings.TrimSuffix(name+"."+key, "..")
			}
		}
	}
	return ""
}
