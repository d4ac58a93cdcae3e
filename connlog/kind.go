package connlog

// String returns the value of the key "event".
func (k Kind) String() string {
	switch k {
	case Start:
		return "start"
	case Open:
		return "open"
	case Proven:
		return "proven"
	case Fail:
		return "fail"
	case Close:
		return "close"
	case Refuse:
		return "refuse"
	case Beat:
		return "beat"
	case Lost:
		return "lost"
	case Stop:
		return "stop"
	}
	return "unknown"
}

// kindOf is the inverse of Kind.String; anything else is Unknown.
func kindOf(text []byte) Kind {
	switch string(text) {
	case "start":
		return Start
	case "open":
		return Open
	case "proven":
		return Proven
	case "fail":
		return Fail
	case "close":
		return Close
	case "refuse":
		return Refuse
	case "beat":
		return Beat
	case "lost":
		return Lost
	case "stop":
		return Stop
	}
	return Unknown
}

// String returns the stage's key in stages_us.
func (s Stage) String() string {
	switch s {
	case StageGreeting:
		return "greeting"
	case StageLogin:
		return "login"
	case StageCommand:
		return "command"
	case StageData:
		return "data"
	case StageScanWait:
		return "scan_wait"
	case StageScan:
		return "scan"
	case StageDeliver:
		return "deliver"
	case StageUpstream:
		return "upstream"
	case StageIdle:
		return "idle"
	case StageTLS:
		return "tls"
	}
	return "unknown"
}

// stageOf is the inverse of Stage.String; ok is false for anything else.
func stageOf(text []byte) (s Stage, ok bool) {
	switch string(text) {
	case "greeting":
		return StageGreeting, true
	case "login":
		return StageLogin, true
	case "command":
		return StageCommand, true
	case "data":
		return StageData, true
	case "scan_wait":
		return StageScanWait, true
	case "scan":
		return StageScan, true
	case "deliver":
		return StageDeliver, true
	case "upstream":
		return StageUpstream, true
	case "idle":
		return StageIdle, true
	case "tls":
		return StageTLS, true
	}
	return 0, false
}
