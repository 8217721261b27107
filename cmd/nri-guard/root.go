package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes of every subcommand.
const (
	exitFine   = 0 // allowed, or nothing found
	exitDenied = 1 // denied, or something found
	exitFailed = 2 // could not: usage, load error, failure
)

// What ends a subcommand that has already printed what it found.
var (
	errDenied = errors.New("denied")
	errFailed = errors.New("failed")
)

// usageError marks an error in how a subcommand was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the whole program but for the process that it runs in. An interrupt or a
// request to terminate cancels what is under way.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal(ctx)
	defer stop()

	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for the process' own
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errDenied):
		return exitDenied
	case errors.Is(err, errFailed):
		return exitFailed
	}
	report(stderr, cmd, err)
	return exitFailed
}

// untilSignal returns a context that ends with the first signal to end. By then a
// second one ends the program at once, since nothing listens to signals any more.
func untilSignal(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// report prints an error: what it has to say line by line, and where to look when
// it is about how the program was called. There is nowhere left to say that this
// failed.
func report(w io.Writer, cmd *cobra.Command, err error) {
	message := err.Error()
	if strings.Contains(message, "\n") {
		message = "several things are wrong\n" + message
	}
	if isUsage(cmd, err) {
		message += fmt.Sprintf("\nSee %q.", cmd.CommandPath()+" --help")
	}
	_, _ = fmt.Fprintln(w, "nri-guard:", message)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nri-guard",
		Short: "Judge what NRI plugins ask of a container runtime by policies",
		Long: `nri-guard judges what NRI plugins ask of a container runtime, by policies in Rego
and WebAssembly.

Exit codes: 0 allowed or fine, 1 denied or findings, 2 could not (usage, load
error, failure).`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("which command?")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newDemo(), newEval(), newTest(), newCheck(), newBench(), newRun(), newDoctor(), newSchema(), newVersion(), newDemoPlugin())
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.RunE = func(*cobra.Command, []string) error { return usageError{errors.New("for which shell?")} }
	}
	return root
}

// isUsage says whether the error is about how the program was called. Cobra has no
// type for an unknown subcommand, a wrong number of arguments or a flag that is
// missing; all are found before the subcommand runs.
func isUsage(cmd *cobra.Command, err error) bool {
	var usage usageError
	return errors.As(err, &usage) || cmd.ValidateArgs(cmd.Flags().Args()) != nil || cmd.ValidateRequiredFlags() != nil
}
