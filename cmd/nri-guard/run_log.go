package main

import (
	"fmt"
	"io"
	"time"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/loglines"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
)

// logPatience is how long the end waits for the log to be read.
const logPatience = 2 * time.Second

// startLog sets up github.com/containerd/log, which everything that runs for long
// logs to, so that it goes to w: without waiting for anybody who reads it, and in
// bounded numbers about each plugin. End writes what is left.
func startLog(w io.Writer, level, format string) (end func(), err error) {
	logger := log.L.Logger
	if err := log.SetFormat(log.OutputFormat(format)); err != nil {
		return nil, err
	}
	if f, ok := logger.Formatter.(*logrus.TextFormatter); ok {
		f.ForceColors = text.StyleOf(w).Colours() // it would ask the writer below
	}
	form := logger.Formatter
	out := loglines.NewWriter(w, func(n int) []byte { return lostLines(form, n) })
	quota := loglines.NewQuota(leftOut)
	logger.SetFormatter(&thrifty{Formatter: form, quota: quota})
	logger.SetOutput(out)
	logger.ReplaceHooks(logrus.LevelHooks{})
	if log.OutputFormat(format) == log.TextFormat {
		logger.AddHook(printable{})
	}
	return func() {
		quota.Close()
		out.Close(logPatience)
	}, log.SetLevel(level)
}

// lostLines is the line that stands for those that nobody read in time.
func lostLines(form logrus.Formatter, n int) []byte {
	line, err := form.Format(&logrus.Entry{
		Time: time.Now(), Level: logrus.WarnLevel, Data: logrus.Fields{},
		Message: fmt.Sprintf("%d lines of this log are lost: it was not read, or could not be written", n),
	})
	if err != nil {
		return nil // there is no field in it that could not be written
	}
	return line
}

// leftOut says how many lines were left out about a plugin.
func leftOut(about string, n int) {
	log.L.WithField("plugin", about).
		Warnf("%d more lines about it within %s are left out here; the decision log has every decision", n, loglines.Window)
}

// thrifty leaves lines out that there are too many of about one plugin. Who has the log
// tell everything gets everything.
type thrifty struct {
	logrus.Formatter
	quota *loglines.Quota
}

// Format implements [logrus.Formatter]. Nothing is written of an entry that is left
// out.
func (t *thrifty) Format(e *logrus.Entry) ([]byte, error) {
	if about := toldOf(e); about != "" && e.Level <= logrus.InfoLevel && !t.quota.Take(about) {
		return nil, nil
	}
	return t.Formatter.Format(e)
}

// toldOf is whom a line is about that others can cause as often as they like: a
// plugin, a process that has not said which one it is, or whoever has a part in a
// container.
func toldOf(e *logrus.Entry) string {
	if plugin, ok := e.Data["plugin"].(string); ok {
		return plugin
	}
	if process, ok := e.Data["process"]; ok {
		return fmt.Sprintf("process %v", process)
	}
	if _, ok := e.Data["decision"]; ok {
		return "(merged)"
	}
	return ""
}

// printable escapes what messages hold of names that plugins chose: on a terminal
// messages are written as they are. Fields are quoted where they need it, and JSON
// escapes everything.
type printable struct{}

// Levels implements [logrus.Hook].
func (printable) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements [logrus.Hook].
func (printable) Fire(e *logrus.Entry) error {
	e.Message = engine.Printable(e.Message)
	return nil
}
