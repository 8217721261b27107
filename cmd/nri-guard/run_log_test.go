package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// TestLogIsPrintable: nobody who may choose a name can write lines of the log, or
// move the cursor of the terminal that it is on.
func TestLogIsPrintable(t *testing.T) {
	const evil = "50-x\x1b[2J\r\nlevel=info \u202e"
	logger := log.L.Logger
	out, formatter, level, hooks := logger.Out, logger.Formatter, logger.Level, logger.Hooks
	t.Cleanup(func() {
		logger.SetOutput(out)
		logger.SetFormatter(formatter)
		logger.SetLevel(level)
		logger.ReplaceHooks(hooks)
	})
	var said bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&said)
	for _, tt := range []struct {
		name, format string
		colours      bool
		never        []string
	}{
		{"text", "text", false, []string{"\x1b", "\r", "\u202e"}},
		{"on a terminal", "text", true, []string{"\x1b[2J", "\r", "\u202e"}},
		{"json", "json", false, []string{"\x1b", "\r"}},
	} {
		if err := startLog(cmd, "info", tt.format); err != nil {
			t.Fatal(err)
		}
		if f, ok := logger.Formatter.(*logrus.TextFormatter); ok {
			f.ForceColors = tt.colours
		}
		said.Reset()
		log.L.WithField("plugin", evil).WithError(errors.New(evil)).Infof("Plugin %s registered", evil)
		got := said.String()
		if strings.Count(got, "\n") != 1 {
			t.Errorf("%s: not one line: %q", tt.name, got)
		}
		for _, never := range tt.never {
			if strings.Contains(got, never) {
				t.Errorf("%s: %q in %q", tt.name, never, got)
			}
		}
	}
}
