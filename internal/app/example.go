package app

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// WriteExample writes a configuration file of all settings with their
// defaults. Read back, it gives those defaults.
func WriteExample(w io.Writer) error {
	c := Default()
	c.Policies = DefaultPolicies()
	e := &exampleWriter{w: w}
	e.table(reflect.ValueOf(*c), "")
	return e.err
}

type exampleWriter struct {
	w   io.Writer
	err error
	// described holds the tables whose fields have been described once: the
	// second service needs no comments.
	described map[reflect.Type]bool
}

func (e *exampleWriter) line(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format+"\n", args...)
	}
}

// table writes a struct: its plain settings first, then its tables, which in
// TOML end the plain ones.
func (e *exampleWriter) table(v reflect.Value, path string) {
	t := v.Type()
	silent := e.described[t]
	if e.described == nil {
		e.described = map[reflect.Type]bool{}
	}
	e.described[t] = true
	for i := range t.NumField() {
		field, value := t.Field(i), v.Field(i)
		if isTable(field.Type) {
			continue
		}
		if !silent {
			e.line("# %s", field.Tag.Get("doc"))
		}
		e.line("%s = %s", field.Tag.Get("toml"), e.value(value))
	}
	for i := range t.NumField() {
		field, value := t.Field(i), v.Field(i)
		if !isTable(field.Type) {
			continue
		}
		name := strings.TrimPrefix(path+"."+field.Tag.Get("toml"), ".")
		if value.Kind() == reflect.Struct {
			// The settings of another protocol say nothing here.
			if only := field.Tag.Get("only"); only != "" && v.FieldByName("Protocol").String() != only {
				continue
			}
			e.head(field, silent)
			e.line("[%s]", name)
			e.table(value, name)
			continue
		}
		for j := range value.Len() {
			e.head(field, j > 0)
			e.line("[[%s]]", name)
			e.table(value.Index(j), name)
		}
	}
}

func (e *exampleWriter) head(field reflect.StructField, silent bool) {
	e.line("")
	if !silent {
		e.line("# %s", field.Tag.Get("doc"))
	}
}

var textType = reflect.TypeFor[encoding.TextMarshaler]()

func isTable(t reflect.Type) bool {
	if t.Implements(textType) {
		return false
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice && isTable(t.Elem())
}

func (e *exampleWriter) value(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil && e.err == nil {
			e.err = err
		}
		return quote(string(text))
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = e.value(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// quote writes a literal string where it can, so that conditions read well.
func quote(s string) string {
	if strings.Contains(s, "\n") && !strings.Contains(s, "'''") {
		return "'''\n" + s + "'''"
	}
	if strings.ContainsAny(s, "'\n\t") {
		return fmt.Sprintf("%q", s)
	}
	if strings.Contains(s, `"`) || strings.Contains(s, `\`) {
		return "'" + s + "'"
	}
	return `"` + s + `"`
}
