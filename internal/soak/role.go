package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// roleVariable tells a process of ours what it is.
const roleVariable = "OVERSTAY_SOAK_ROLE"

// endTime is how long a process may take to end.
const endTime = 30 * time.Second

// part is what a process is there for. It is ready when it returns.
type part interface {
	// ready says where it is reached, as name and address.
	ready() map[string]string
	// do answers a question, with something for JSON.
	do(question string) (any, error)
	// end ends it and waits for that.
	end() error
}

// play is the whole life of a process in a role: it says where it is reached,
// answers a line for each line it is sent, and ends when there are no more.
func play(ctx context.Context, role string, in io.Reader, out io.Writer) error {
	name, argument, _ := strings.Cut(role, " ")
	begin, ok := roles()[name]
	if !ok {
		return fmt.Errorf("no role %q", name)
	}
	p, err := begin(ctx, argument)
	if err != nil {
		return err
	}
	say := json.NewEncoder(out)
	err = say.Encode(p.ready())
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		var answer any
		if answer, err = p.do(lines.Text()); err == nil {
			err = say.Encode(answer)
		}
	}
	return errors.Join(err, p.end())
}

func roles() map[string]func(context.Context, string) (part, error) {
	return map[string]func(context.Context, string) (part, error){
		"overstay":      newWhole,
		"library":       newBare,
		"library+store": newBareStore,
		"postfix":       newPostfix,
		"holder":        newHolder,
	}
}

// process is a process in a role.
type process struct {
	name string
	at   map[string]string // where it is reached
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

// launch starts this program again in a role.
func launch(role string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(role, " ")
	p := &process{name: name, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.out.Decode(&p.at); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", role, err), p.end())
	}
	return p, nil
}

// ask sends a question and takes the answer.
func (p *process) ask(question string, answer any) error {
	if _, err := io.WriteString(p.in, question+"\n"); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if err := p.out.Decode(answer); err != nil {
		return fmt.Errorf("%s: %s: %w", p.name, question, err)
	}
	return nil
}

// end ends the process, by force if it does not go by itself.
func (p *process) end() error {
	_ = p.in.Close() // It may be gone already.
	late := time.AfterFunc(endTime, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}
