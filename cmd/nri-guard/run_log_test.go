package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/loglines"
	"github.com/nri-guard/nri-guard/engine"
)

// logTo has everything logged to w until the test ends, or end is called.
func logTo(t *testing.T, w io.Writer, level, format string) (end func()) {
	logger := log.L.Logger
	out, formatter, before, hooks := logger.Out, logger.Formatter, logger.Level, logger.Hooks
	t.Cleanup(func() {
		logger.SetOutput(out)
		logger.SetFormatter(formatter)
		logger.SetLevel(before)
		logger.ReplaceHooks(hooks)
	})
	end, err := startLog(w, level, format)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// TestLogIsPrintable: nobody who may choose a name can write lines of the log, or
// move the cursor of the terminal that it is on.
func TestLogIsPrintable(t *testing.T) {
	const evil = "50-x\x1b[2J\r\nlevel=info \u202e"
	for _, tt := range []struct {
		name, format string
		colours      bool
		never        []string
	}{
		{"text", "text", false, []string{"\x1b", "\r", "\u202e"}},
		{"on a terminal", "text", true, []string{"\x1b[2J", "\r", "\u202e"}},
		{"json", "json", false, []string{"\x1b", "\r"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			end := logTo(t, &said, "info", tt.format)
			if form := log.L.Logger.Formatter.(*thrifty).Formatter; tt.colours {
				form.(*logrus.TextFormatter).ForceColors = true
			}
			log.L.WithField("plugin", evil).WithError(errors.New(evil)).Infof("Plugin %s registered", evil)
			end()
			got := said.String()
			if strings.Count(got, "\n") != 1 {
				t.Errorf("not one line: %q", got)
			}
			for _, never := range tt.never {
				if strings.Contains(got, never) {
					t.Errorf("%q in %q", never, got)
				}
			}
		})
	}
}

// TestLogNobodyReads: a reader of the log who stops reading keeps no decision waiting,
// and learns what was missed.
func TestLogNobodyReads(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			reader, pipe, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close() //nolint:errcheck // of a test
			end := logTo(t, pipe, "debug", format)
			decisions := &teller{next: unrecorded{}}
			const many = 40000 // several times what pipe and buffer hold
			for i := range many {
				d := &engine.Decision{Allowed: true, ID: fmt.Sprint(i)}
				if err := decisions.Record(t.Context(), &engine.Review{Operation: engine.CreateContainer}, d); err != nil {
					t.Fatal(err)
				}
			}
			go func() {
				end()
				_ = pipe.Close()
			}()
			text, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			written, lost := 0, 0
			for line := range strings.Lines(string(text)) {
				switch n := lostIn(t, format, line); {
				case n > 0:
					lost += n
				case strings.Contains(line, "Allowed"):
					written++
				default:
					t.Fatalf("what is %q?", line)
				}
			}
			if lost == 0 || written+lost != many {
				t.Errorf("%d lines, and %d said to be lost, of %d", written, lost, many)
			}
		})
	}
}

// lostIn is how many lines are lost by what a line of the log says.
func lostIn(t *testing.T, format, line string) (n int) {
	message := line
	if format == "json" {
		var entry struct{ Level, Msg, Time string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" {
			t.Fatalf("no entry: %q: %v", line, err)
		}
		message = entry.Msg
	} else if _, rest, ok := strings.Cut(line, `level=warning msg="`); ok {
		message = rest
	}
	_, _ = fmt.Sscanf(message, "%d lines of this log are lost", &n)
	return n
}

// unrecorded is a recorder of nothing.
type unrecorded struct{ engine.Recorder }

func (unrecorded) Record(ctx context.Context, _ *engine.Review, _ *engine.Decision) error { return nil }

// TestLogIsBounded: who is denied over and over fills no log.
func TestLogIsBounded(t *testing.T) {
	denied := &engine.Decision{Failures: []engine.Failure{{Message: "no"}}}
	by := func(name string) *engine.Review {
		return &engine.Review{Operation: engine.UpdateContainers, Plugin: engine.Plugin{Index: "10", Name: name}}
	}
	for name, c := range map[string]struct {
		level string
		log   func()
		want  map[string]int // lines by a part of them
	}{
		"denials of plugins": {"info", func() {
			for range 500 {
				_ = (&teller{next: unrecorded{}}).Record(t.Context(), by("loud"), denied)
			}
			_ = (&teller{next: unrecorded{}}).Record(t.Context(), by("quiet"), denied)
		}, map[string]int{"plugin=10-loud": loglines.Lines + 1, "plugin=10-quiet": 1,
			`"480 more lines about it within 1m0s are left out here; the decision log has every decision" plugin=10-loud`: 1}},
		"denials of merged adjustments": {"info", func() {
			for range 500 {
				_ = (&teller{next: unrecorded{}}).Record(t.Context(), &engine.Review{Operation: engine.CreateContainer}, denied)
			}
		}, map[string]int{"operation=CreateContainer": loglines.Lines, "480 more": 1}},
		"connections": {"info", func() {
			for range 500 {
				log.L.WithField("process", 7).Warn("A connection is refused")
			}
		}, map[string]int{"process=7": loglines.Lines, "480 more": 1}},
		"who wants everything gets it": {"debug", func() {
			for range 500 {
				_ = (&teller{next: unrecorded{}}).Record(t.Context(), by("busy"), &engine.Decision{Allowed: true})
			}
		}, map[string]int{"plugin=10-busy": 500, "more lines": 0}},
		"the guard's own": {"info", func() {
			for range 500 {
				log.L.Warn("Not ready")
			}
		}, map[string]int{"Not ready": 500}},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			end := logTo(t, &said, c.level, "text")
			c.log()
			end()
			for part, want := range c.want {
				if got := strings.Count(said.String(), part); got != want {
					t.Errorf("%d times %q, want %d", got, part, want)
				}
			}
		})
	}
}
