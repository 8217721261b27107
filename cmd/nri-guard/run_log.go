package main

import (
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/engine"
)

// startLog sets up github.com/containerd/log, which everything that runs for long
// logs to.
func startLog(cmd *cobra.Command, level, format string) error {
	log.L.Logger.SetOutput(cmd.ErrOrStderr())
	if err := log.SetFormat(log.OutputFormat(format)); err != nil {
		return err
	}
	log.L.Logger.ReplaceHooks(logrus.LevelHooks{})
	if log.OutputFormat(format) == log.TextFormat {
		log.L.Logger.AddHook(printable{})
	}
	return log.SetLevel(level)
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
