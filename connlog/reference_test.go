package connlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// reference parses a line with encoding/json, obviously and slowly. What it
// accepts, and what it makes of it, is what Parse must.
func reference(line []byte) (e Event, err error) {
	if !json.Valid(line) {
		return e, errors.New("not JSON")
	}
	if depthOf(line) > maxDepth {
		return e, errors.New("too deep")
	}
	members, err := membersOf(line)
	if err != nil {
		return e, err
	}
	var headErr, restErr error
	var hasTime, hasEvent bool
	for _, m := range members {
		err := e.referenceField(m.key, m.value)
		null := string(m.value) == "null"
		switch m.key {
		case "time":
			hasTime = !null
		case "event":
			hasEvent = !null
		}
		switch m.key {
		case "time", "event", "boot", "seq":
			headErr = errors.Join(headErr, err)
		default:
			restErr = errors.Join(restErr, err)
		}
	}
	switch {
	case headErr != nil:
		return e, headErr
	case !hasTime || !hasEvent:
		return e, errors.New("no time or event")
	case e.Kind == Unknown:
		return Event{Time: e.Time, Boot: e.Boot, Seq: e.Seq}, nil
	}
	return e, restErr
}

func depthOf(line []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

type member struct {
	key   string
	value json.RawMessage
}

// membersOf returns the members of an object in their order, twins included.
func membersOf(object []byte) (members []member, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %v, %w", t, err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: key.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func (e *Event) referenceField(key string, raw json.RawMessage) (err error) {
	n := func(limit uint64) (v uint64) {
		err = json.Unmarshal(raw, &v)
		if err == nil && v > limit {
			err = errors.New("too large")
		}
		return v
	}
	s := func() (v string) { err = json.Unmarshal(raw, &v); return v }
	b := func() (v bool) { err = json.Unmarshal(raw, &v); return v }
	switch key {
	case "time":
		e.Time = time.Time{}
		if string(raw) == "null" {
			return nil
		}
		text := s()
		if err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339, text)
		t = t.UTC().Truncate(time.Microsecond)
		if err == nil && (t.Year() < 0 || t.Year() > 9999) {
			err = errors.New("year")
		}
		e.Time = t
		return err
	case "event":
		e.Kind = Unknown
		for k, text := Start, s(); k <= Stop; k++ {
			if k.String() == text {
				e.Kind = k
			}
		}
	case "boot":
		e.Boot = s()
	case "seq":
		e.Seq = n(math.MaxUint64)
	case "service":
		e.Service = s()
	case "conn":
		e.Conn = n(math.MaxUint64)
	case "client_ip":
		e.ClientIP = netip.Addr{}
		if text := s(); err == nil && text != "" {
			e.ClientIP, err = netip.ParseAddr(text)
			e.ClientIP = e.ClientIP.Unmap()
		}
	case "client_port":
		e.ClientPort = uint16(n(math.MaxUint16))
	case "busy":
		e.Busy = int(n(math.MaxInt))
	case "threads":
		e.Threads = int(n(math.MaxInt))
	case "held_us":
		e.Held = time.Duration(n(math.MaxInt64/1000)) * time.Microsecond
	case "proven":
		e.Proven = b()
	case "fails":
		e.Fails = int(n(math.MaxInt))
	case "by":
		e.By = By(s())
	case "user":
		e.User = s()
	case "what":
		e.What = What(s())
	case "stages_us":
		e.Stages, err = referenceStages(raw)
	case "bytes_in":
		e.BytesIn = int64(n(math.MaxInt64))
	case "bytes_out":
		e.BytesOut = int64(n(math.MaxInt64))
	case "end":
		e.End = End(s())
	case "reason":
		e.Reason = Reason(s())
	case "count":
		e.Count = n(math.MaxUint64)
	case "schema":
		e.Schema = int(n(math.MaxInt))
	case "version":
		e.Version = s()
	case "host":
		e.Host = s()
	case "services":
		e.Services, err = referenceServices(raw)
	case "continued":
		e.Continued = b()
	}
	return err
}

func referenceStages(raw json.RawMessage) (stages [NumStages]time.Duration, err error) {
	if string(raw) == "null" {
		return stages, nil
	}
	members, err := membersOf(raw)
	if err != nil {
		return stages, err
	}
	for _, m := range members {
		for s := range Stage(NumStages) {
			if s.String() != m.key {
				continue
			}
			var us uint64
			if err := json.Unmarshal(m.value, &us); err != nil {
				return stages, err
			}
			if us > math.MaxInt64/1000 {
				return stages, errors.New("too large")
			}
			stages[s] = time.Duration(us) * time.Microsecond
		}
	}
	return stages, nil
}

func referenceServices(raw json.RawMessage) (services []Service, err error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, err
	}
	if len(elements) > maxServices {
		return nil, errors.New("too many")
	}
	for _, element := range elements {
		var s Service
		var members []member
		if string(element) != "null" {
			if members, err = membersOf(element); err != nil {
				return nil, err
			}
		}
		for _, m := range members {
			var n uint64
			limit := uint64(math.MaxInt)
			var err error
			switch m.key {
			case "service":
				s.Service = ""
				err = json.Unmarshal(m.value, &s.Service)
			case "pool":
				s.Pool = ""
				err = json.Unmarshal(m.value, &s.Pool)
			case "listen":
				s.Listen = ""
				err = json.Unmarshal(m.value, &s.Listen)
			case "threads":
				err = json.Unmarshal(m.value, &n)
				s.Threads = int(n)
			case "sessions_per_source":
				err = json.Unmarshal(m.value, &n)
				s.SessionsPerSource = int(n)
			case "busy":
				err = json.Unmarshal(m.value, &n)
				s.Busy = int(n)
			case "refused":
				limit = math.MaxUint64
				err = json.Unmarshal(m.value, &n)
				s.Refused = n
			}
			if err == nil && n > limit {
				err = errors.New("too large")
			}
			if err != nil {
				return nil, err
			}
		}
		services = append(services, s)
	}
	return services, nil
}
