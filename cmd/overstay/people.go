package main

import "io"

// Everything that the commands say about users.

func (u *ui) newUsers(path string) { u.say("New user file: %s", path) }

// ask writes a question, without a line end, or a line end alone.
func (u *ui) ask(question string) { _, _ = io.WriteString(u.err, question) }

// userChanged says what has happened to a user.
func (u *ui) userChanged(d userDone) error {
	if u.json {
		return u.printJSON(d)
	}
	u.print("%-9s %s", d.Done, d.User)
	if d.Mail == "" {
		return nil
	}
	switch d.Done {
	case "added":
		u.say("There is mail for that name already: %s", d.Mail)
	case "deleted":
		u.say("The mail stays in %s; a new user of that name would get it.", d.Mail)
	}
	return nil
}

func (u *ui) users(users []userView) error {
	if u.json {
		return u.printJSON(users)
	}
	if len(users) == 0 {
		u.say("No users.")
		return nil
	}
	rows := make([][]string, 0, len(users))
	for _, v := range users {
		mail := v.Mail
		if mail == "" {
			mail = "none yet"
		}
		rows = append(rows, []string{v.User, mail})
	}
	u.table([]string{"USER", "MAIL"}, rows)
	return nil
}
