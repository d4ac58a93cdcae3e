package app

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// ConfigError is a configuration that cannot be used.
type ConfigError struct {
	File   string // empty for the defaults
	Line   int    // 0 when the error is of no single line
	Column int
	Key    string // the setting, as a.b.c
	Err    error
}

func (e *ConfigError) Error() string {
	var b bytes.Buffer
	b.WriteString("configuration")
	if e.File != "" {
		fmt.Fprintf(&b, " %s", e.File)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, ": %s", e.Key)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func (e *ConfigError) Unwrap() error { return e.Err }

// errUnknownKey is the cause of a ConfigError for a key that no field has.
var errUnknownKey = errors.New("no such setting")

// errBareNumber is the cause of a ConfigError for a length of time without a
// unit, which the TOML library would take for nanoseconds.
var errBareNumber = errors.New(`a length of time has a unit, as in "90s", "1h30m" or "7d"`)

// Load reads a configuration file over the defaults. Every error is a
// *ConfigError, except that of reading the file.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (*Config, error) {
	c := Default()
	defaults := c.Services
	c.Services = nil // Services of the file replace the default ones.
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return nil, configError(path, err)
	}
	var said map[string]any // What the file says, and what it does not.
	if err := toml.Unmarshal(text, &said); err != nil {
		return nil, configError(path, err)
	}
	if key := bareNumber(reflect.TypeFor[Config](), said); key != "" {
		return nil, &ConfigError{File: path, Key: key, Err: errBareNumber}
	}
	fillEach(c.Services, said["service"], Service.defaults)
	fillEach(c.Policies, said["policy"], Policy.defaults)
	err := c.verify()
	if err == nil && c.Services != nil {
		err = c.VerifyPolicies()
	}
	if c.Services == nil {
		c.Services = defaults
	}
	if err != nil {
		var ce *ConfigError
		if errors.As(err, &ce) {
			ce.File = path
		}
		return nil, err
	}
	return c, nil
}

// configError turns an error of the TOML library into ours.
func configError(path string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		line, column := first.Position()
		return &ConfigError{File: path, Line: line, Column: column, Key: strings.Join(first.Key(), "."), Err: errUnknownKey}
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		return &ConfigError{File: path, Line: line, Column: column, Key: strings.Join(decode.Key(), "."), Err: err}
	}
	return &ConfigError{File: path, Err: err}
}
