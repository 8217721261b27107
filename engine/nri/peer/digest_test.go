package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// aged makes a file that has been left alone for long enough, as far as the
// recorded state says; nobody can set a ctime.
func aged(t *testing.T, content string) (open func() *os.File, st stat) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exe")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	open = func() *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open()
	defer f.Close() //nolint:errcheck // it is only read
	st, err := fstat(f)
	if err != nil {
		t.Fatal(err)
	}
	return open, st
}

// settle waits until a file's digest may be remembered.
func settle(t *testing.T, st stat) {
	t.Helper()
	time.Sleep(time.Until(time.Unix(st.ctime.Unix()).Add(settled + 10*time.Millisecond)))
}

// TestDigests remembers what has been left alone, and nothing else.
func TestDigests(t *testing.T) {
	t.Parallel() // it waits
	var d digests
	ctx := t.Context()
	open, st := aged(t, "hello")
	const want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if sum, err := d.of(ctx, open(), st, engine.Identity{}); sum != want || err != nil {
		t.Errorf("%s, %v", sum, err)
	}
	if len(d.entries) != 0 {
		t.Error("a file that was written just now is remembered")
	}
	settle(t, st)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if sum, err := d.of(ctx, open(), st, engine.Identity{}); sum != want || err != nil {
				t.Errorf("%s, %v", sum, err)
			}
		})
	}
	wg.Wait()
	if len(d.entries) != 1 {
		t.Errorf("%d are remembered", len(d.entries))
	}
	d.entries[st].sum = "remembered"
	if sum, err := d.of(ctx, open(), st, engine.Identity{}); sum != "remembered" || err != nil {
		t.Errorf("it is hashed again: %s, %v", sum, err)
	}
}

// TestDigestOfAnotherState: any difference in size or times is another file, and a
// file that is not in the state that it should be in has no digest.
func TestDigestOfAnotherState(t *testing.T) {
	t.Parallel() // it waits
	open, st := aged(t, "hello")
	settle(t, st)
	for name, change := range map[string]func(*stat){
		"longer":  func(s *stat) { s.size++ },
		"shorter": func(s *stat) { s.size-- },
		"mtime":   func(s *stat) { s.mtime.Nsec ^= 1 },
		"ctime":   func(s *stat) { s.ctime.Sec-- },
		"inode":   func(s *stat) { s.ino++ },
		"device":  func(s *stat) { s.dev++ },
	} {
		t.Run(name, func(t *testing.T) {
			var d digests
			other := st
			change(&other)
			if _, err := d.of(t.Context(), open(), other, engine.Identity{}); !errors.Is(err, errChanging) {
				t.Errorf("%v", err)
			}
			if len(d.entries)+len(d.order) != 0 {
				t.Error("a failure is remembered")
			}
			if _, err := d.of(t.Context(), open(), st, engine.Identity{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFutureState: a clock that was set back makes nothing old.
func TestFutureState(t *testing.T) {
	var d digests
	open, st := aged(t, "hello")
	st.ctime.Sec += 1000
	if _, err := d.of(t.Context(), open(), st, engine.Identity{}); !errors.Is(err, errChanging) {
		t.Errorf("%v", err)
	}
	if len(d.entries) != 0 {
		t.Error("it is remembered")
	}
}

// TestDigestsAreBounded: the oldest goes.
func TestDigestsAreBounded(t *testing.T) {
	var d digests
	for n := range uint64(2 * maxDigests) {
		if e, mine := d.entry(stat{ino: n}); !mine || e == nil {
			t.Fatal(n)
		}
	}
	if len(d.entries) != maxDigests || len(d.order) != maxDigests {
		t.Errorf("%d in %d", len(d.entries), len(d.order))
	}
	if _, mine := d.entry(stat{ino: 2*maxDigests - 1}); mine {
		t.Error("the last is forgotten")
	}
	if _, mine := d.entry(stat{ino: 0}); !mine {
		t.Error("the first is remembered")
	}
}

// TestOneThatHangs keeps nobody else waiting, and those who wait for it no longer
// than they want.
func TestOneThatHangs(t *testing.T) {
	t.Parallel() // it waits
	var d digests
	open, st := aged(t, "hello")
	settle(t, st)
	hung, _ := d.entry(stat{ino: 1}) // somebody hashes it and does not come to an end
	defer close(hung.done)
	if _, err := d.of(t.Context(), open(), st, engine.Identity{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.of(ctx, open(), stat{ino: 1}, engine.Identity{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestGivenUp: hashing ends with its context.
func TestGivenUp(t *testing.T) {
	open, st := aged(t, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var d digests
	if _, err := d.hash(ctx, open(), st, engine.Identity{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestInterpreter knows what runs something else.
func TestInterpreter(t *testing.T) {
	for exe, want := range map[string]bool{
		"/bin/sh": true, "/usr/bin/bash": true, "/usr/bin/python3.11": true, "/usr/bin/python3": true, "/usr/bin/python2.7 (deleted)": true,
		"/usr/bin/perl5.36.0": true, "/usr/bin/node": true, "/usr/local/bin/ruby3.1": true, "/bin/busybox": true, "/usr/bin/lua5.4": true,
		"/lib64/ld-linux-x86-64.so.2": true, "/lib/ld-musl-x86_64.so.1": true, "/usr/bin/qemu-x86_64-static": true,
		"/lib/x86_64-linux-gnu/ld-2.31.so": true, "/usr/lib/jvm/bin/java": true, "/bin/dash": true,
		"/opt/nri/plugins/10-device-injector": false, "/usr/bin/tetragon": false, "/opt/python-plugin": false, "/opt/sh": true,
		"/opt/bashful": false, "/usr/bin/nodemon": false, "": false, "/": false,
	} {
		if got := Interpreter(exe); got != want {
			t.Errorf("%s: %v", exe, got)
		}
	}
}

// TestScript: what connects is the interpreter.
func TestScript(t *testing.T) {
	script := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\n%s\nexit 0\n", self(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	child := start(t, script)
	p, err := new(Inspector).Process(child.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	if exe := p.Identity().Exe; exe == script || !Interpreter(exe) {
		t.Errorf("the script is seen as %s", exe)
	}
	if exe := observe(t, &Inspector{}, child.conn).Identity().Exe; exe != self(t) {
		t.Errorf("what the script started is seen as %s", exe)
	}
}
