package main

import (
	"fmt"

	"overstay/banlist"
	"overstay/internal/app"
)

// What analyze --suggest says of what the list made of its decisions.

// suggested tells of each decision what became of it.
func (u *ui) suggested(all []app.Suggested) {
	u.print("")
	if len(all) == 0 {
		u.print("Nothing to suggest.")
		return
	}
	for i := range all {
		u.row("%-9s %s", outcomeWord(&all[i]), suggestedText(&all[i]))
	}
	if waiting(all) > 0 {
		u.hint("Approve or reject: overstay review approve|reject ID|ADDRESS|all. More: overstay review show ADDRESS")
	}
}

// suggestedCount tells the same in a line, beside a result that has no place
// for it.
func (u *ui) suggestedCount(all []app.Suggested) {
	n := waiting(all)
	u.say("%d suggested, %d left out. What waits for you: overstay review list", n, len(all)-n)
}

// waiting counts those that were put on the list.
func waiting(all []app.Suggested) (n int) {
	for i := range all {
		if all[i].Result.Outcome == banlist.Waiting {
			n++
		}
	}
	return n
}

func outcomeWord(s *app.Suggested) string {
	if s.Result.Outcome == banlist.Waiting {
		return "suggested"
	}
	return "left out"
}

// suggestedText says whom a decision is about, and why it is not on the list
// if it is not.
func suggestedText(s *app.Suggested) string {
	text := sourceText(s.Decision.Source) + "  " + s.Decision.Policy
	if s.Guarded != nil {
		return fmt.Sprintf("%s: %s is never to be banned (%s)", text, sourceText(s.Guarded.Host), s.Guarded.Guard)
	}
	switch r := s.Result; r.Outcome {
	case banlist.Waiting:
		return fmt.Sprintf("%s  %s", text, r.Ban.ID)
	case banlist.Standing, banlist.Extended, banlist.Activated, banlist.Banned:
		return text + ": the list says so already"
	case banlist.Known:
		return text + ": it was suggested or decided before"
	case banlist.Exempt:
		return text + ": on the allow list as " + sourceText(r.Allowed)
	case banlist.Quiet:
		return text + ": such a suggestion was rejected a while ago"
	case banlist.Refused:
		return fmt.Sprintf("%s: the list does not take it: %v", text, r.Err)
	default:
		return text + ": its time is over"
	}
}
