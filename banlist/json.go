package banlist

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
	"time"
)

// banJSON is an entry as JSON.
type banJSON struct {
	ID         string          `json:"id"`
	Prefix     netip.Prefix    `json:"prefix"`
	Services   []string        `json:"services,omitempty"`
	State      State           `json:"state"`
	Reason     string          `json:"reason,omitempty"`
	Origin     string          `json:"origin"`
	Created    time.Time       `json:"created,omitzero"`
	Decided    time.Time       `json:"decided,omitzero"`
	Expires    time.Time       `json:"expires,omitzero"`
	Duration   string          `json:"duration,omitempty"` // as time.Duration writes it
	QuietUntil time.Time       `json:"quiet_until,omitzero"`
	Evidence   json.RawMessage `json:"evidence,omitempty"`
}

// MarshalJSON writes the entry with keys in lower case, times in RFC 3339, and
// the duration as Go writes it: "1h30m0s".
func (b Ban) MarshalJSON() ([]byte, error) {
	j := banJSON{ID: b.ID, Prefix: b.Prefix, Services: b.Services, State: b.State, Reason: b.Reason,
		Origin: b.Origin, Created: b.Created, Decided: b.Decided, Expires: b.Expires,
		QuietUntil: b.QuietUntil, Evidence: b.Evidence}
	if b.Duration != 0 {
		j.Duration = b.Duration.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote. It does not check whether the
// entry is valid.
func (b *Ban) UnmarshalJSON(data []byte) error {
	var j banJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*b = Ban{ID: j.ID, Prefix: j.Prefix, Services: j.Services, State: j.State, Reason: j.Reason,
		Origin: j.Origin, Created: j.Created, Decided: j.Decided, Expires: j.Expires,
		QuietUntil: j.QuietUntil, Evidence: j.Evidence}
	var err error
	if j.Duration != "" {
		b.Duration, err = time.ParseDuration(j.Duration)
	}
	return err
}

// allowanceJSON is an allowance as JSON.
type allowanceJSON struct {
	Prefix  netip.Prefix `json:"prefix"`
	Note    string       `json:"note,omitempty"`
	By      string       `json:"by,omitempty"`
	Created time.Time    `json:"created,omitzero"`
	Expires time.Time    `json:"expires,omitzero"`
}

// MarshalJSON writes the allowance with keys in lower case.
func (a Allowance) MarshalJSON() ([]byte, error) { return json.Marshal(allowanceJSON(a)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Allowance) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, (*allowanceJSON)(a))
}

// transitionJSON is a step of the history as JSON.
type transitionJSON struct {
	Time   time.Time    `json:"time"`
	ID     string       `json:"id,omitempty"`
	Prefix netip.Prefix `json:"prefix"`
	From   State        `json:"from,omitempty"`
	To     State        `json:"to"`
	By     string       `json:"by,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

// MarshalJSON writes the step with keys in lower case.
func (t Transition) MarshalJSON() ([]byte, error) { return json.Marshal(transitionJSON(t)) }

// exportFormat is in the first line of an export, with its version.
const (
	exportFormat  = "overstay-banlist"
	exportVersion = 1
)

type exportHead struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type exportLine struct {
	Ban   *Ban       `json:"ban,omitempty"`
	Allow *Allowance `json:"allow,omitempty"`
}

// ExportJSON writes the allow list and all entries, whatever their state, one
// JSON object a line after a line that names the format. The history is not in
// it.
func (l *List) ExportJSON(ctx context.Context, w io.Writer) error {
	buf := bufio.NewWriter(w)
	out := json.NewEncoder(buf)
	if err := out.Encode(exportHead{exportFormat, exportVersion}); err != nil {
		return err
	}
	allowed, err := l.Allowed(ctx)
	if err != nil {
		return err
	}
	for i := range allowed {
		if err := out.Encode(exportLine{Allow: &allowed[i]}); err != nil {
			return err
		}
	}
	for b, err := range l.All(ctx, Filter{}) {
		if err != nil {
			return err
		}
		if err := out.Encode(exportLine{Ban: &b}); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// ParseJSON reads what ExportJSON wrote. A bad line is yielded as a *LineError
// and does not end the list; any other error does.
func ParseJSON(r io.Reader) iter.Seq2[Item, error] {
	begun := false
	return parseLines(r, func(line string) ([]Item, error) {
		line = strings.TrimSpace(line)
		if line == "" {
			return nil, nil
		}
		if !begun {
			begun = true
			var head exportHead
			if err := json.Unmarshal([]byte(line), &head); err != nil || head.Format != exportFormat {
				return nil, errNotExport
			}
			if head.Version > exportVersion {
				return nil, fmt.Errorf("%w: an export of version %d", ErrFormat, head.Version)
			}
			return nil, nil
		}
		var it exportLine
		if err := json.Unmarshal([]byte(line), &it); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if (it.Ban == nil) == (it.Allow == nil) {
			return nil, fmt.Errorf(`%w: a line holds either "ban" or "allow"`, ErrInvalid)
		}
		return []Item{{Ban: it.Ban, Allow: it.Allow}}, nil
	})
}

var errNotExport = fmt.Errorf("%w: it does not begin as an export", ErrFormat)
