package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/containerd/log"
	"github.com/spf13/cobra"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Guard a container runtime",
		Long: `Guard a container runtime, as a validator that the runtime asks about each container,
as a proxy that plugins connect to, or as both, until an interrupt or a request to
terminate: then what is under way is finished. A second one ends it at once.

The configuration, and the policies that it names, are read again on SIGHUP and when
the files change. Where they cannot be used, what was read before stays in force.

A configuration that cannot be used at the start is exit code 2, and no socket has
been touched. A runtime that is not there is waited for.`,
		Args: cobra.NoArgs,
	}
	config := cmd.Flags().String("config", "", "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json") // fails only without such a flag
	_ = cmd.MarkFlagRequired("config")
	level := addChoice(cmd, "log-level", "info", "the least that is logged", "debug", "info", "warn", "error")
	format := addChoice(cmd, "log-format", "text", "how it is logged, on standard error", "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		end, err := startLog(cmd.ErrOrStderr(), level.value, format.value)
		if err != nil {
			return err
		}
		defer end()
		// Who read the log may be gone: that is no reason to leave the node unguarded. Taken
		// and not ignored, which the plugins that are launched would inherit.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		err = serve(cmd.Context(), *config)
		if err == nil || format.value != "json" {
			return err
		}
		for line := range strings.Lines(err.Error()) {
			log.L.Error(strings.TrimSuffix(line, "\n"))
		}
		return errFailed
	}
	return cmd
}
