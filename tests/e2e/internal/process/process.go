// Package process runs daemons for tests: each in a process group of its own, with
// what it writes kept in a file.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Grace is how long a process that is asked to end may take.
const Grace = 15 * time.Second

// Process is a daemon that was started.
type Process struct {
	// Name is for messages.
	Name string
	// Log is the file that has what it writes.
	Log string

	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Start starts a command, whose output is appended to the file log.
func Start(log string, cmd *exec.Cmd) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the process has its own
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Name: cmd.Args[0], Log: log, cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err is how the process ended; nil while it runs, and when it ended with 0.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Freeze stops the process as SIGSTOP does; Thaw lets it go on.
func (p *Process) Freeze() error { return p.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.Signal(syscall.SIGCONT) }

// Stop asks the process to end, kills its group when it does not, and returns once
// it has ended.
func (p *Process) Stop() {
	_ = p.Thaw()
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(Grace):
		p.Kill()
	}
}

// Kill kills the process group and returns once the process has ended.
func (p *Process) Kill() {
	select {
	case <-p.ended: // its number may be another's by now
	default:
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
		<-p.ended
	}
}

// WaitFor waits until a condition holds. It gives up, with the condition's error and
// the end of the log, when the process or ctx ends.
func (p *Process) WaitFor(ctx context.Context, what string, condition func(context.Context) error) error {
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended (%w) instead of: %s\n%s", p.Name, cause(p.err), what, p.Tail(30))
		case <-ctx.Done():
			return fmt.Errorf("%s: not in time: %s: %w\n%s", p.Name, what, err, p.Tail(30))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func cause(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Tail is the end of what the process wrote.
func (p *Process) Tail(lines int) string {
	data, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimRight(data, "\n")), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "--- " + p.Log + "\n" + strings.Join(all, "\n")
}
