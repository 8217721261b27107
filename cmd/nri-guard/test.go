package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

// errNoTests is an error rather than a success: a name that was misspelt, a file
// that was not found, a pattern that nothing matches.
var errNoTests = errors.New("there is no test: tests are rules test_... in files ..._test.rego")

func newTest() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [flags] [PATH...]",
		Short: "Run the tests of policies",
		Long: `Run the tests of policies with OPA's runner: the rules test_... in files
..._test.rego. A PATH is a directory, a .rego file or a bundle. Without any the
library's tests are run and, where there is a configuration, those of the policies
that it names.

The exit code is 1 when a test failed, and 2 when the policies cannot be loaded or
there is no test.`,
	}
	config := cmd.Flags().String("config", "", "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json") // fails only without such a flag
	var o rego.TestOptions
	cmd.Flags().StringVar(&o.Run, "run", "", "regular expression for the full names of the tests to run")
	cmd.Flags().DurationVar(&o.Timeout, "timeout", 5*time.Second, "how long a test may take")
	cmd.Flags().BoolVar(&o.Coverage, "coverage", false, "say which lines no test reached")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "list the tests that passed too")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := authorSettings(*config, args)
		if err != nil {
			return err
		}
		o.Library = len(args) == 0
		report, err := rego.Test(cmd.Context(), c.Sources(), o)
		if err != nil {
			return err
		}
		if len(report.Tests) == 0 {
			return errNoTests
		}
		if format.json() {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = printTests(cmd.OutOrStdout(), report, *verbose)
		}
		if err == nil && !report.Passed() {
			err = errDenied
		}
		return err
	}
	return cmd
}

func printTests(w io.Writer, r *rego.TestReport, verbose bool) error {
	style := text.StyleOf(w)
	paint := map[rego.Outcome]func(string) string{
		rego.Pass: style.Good, rego.Fail: style.Bad, rego.Error: style.Bad, rego.Skip: style.Mixed,
	}
	var out strings.Builder
	count := map[rego.Outcome]int{}
	for _, t := range r.Tests {
		count[t.Outcome]++
		if t.Outcome == rego.Pass && !verbose {
			continue
		}
		fmt.Fprintf(&out, "%s:%d: %s %s (%v)\n", t.File, t.Line, paint[t.Outcome](string(t.Outcome)), t.Name, t.Duration.Round(time.Microsecond))
		for _, detail := range slices.Concat(t.Failed, lines(t.Error), lines(t.Output)) {
			fmt.Fprintf(&out, "  %s\n", engine.Printable(detail))
		}
	}
	printCoverage(&out, style, r.Coverage)
	fmt.Fprintf(&out, "%s:", plural(len(r.Tests), "test"))
	for _, o := range []rego.Outcome{rego.Pass, rego.Fail, rego.Error, rego.Skip} {
		if count[o] > 0 {
			fmt.Fprintf(&out, " %s", paint[o](fmt.Sprintf("%d %s", count[o], o)))
		}
	}
	out.WriteString("\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// lines splits a text that may be empty.
func lines(s string) []string {
	if s = strings.TrimSpace(s); s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// printCoverage lists the files with lines that no test reached.
func printCoverage(out *strings.Builder, s text.Style, c *rego.Coverage) {
	if c == nil {
		return
	}
	for _, f := range c.Files {
		if len(f.NotCovered) > 0 {
			fmt.Fprintf(out, "%s: %s reached, not %s\n", engine.Printable(f.File), s.Mixed(fmt.Sprintf("%.1f%%", f.Percent)), ranges(f.NotCovered))
		}
	}
	fmt.Fprintf(out, "coverage: %.1f%% of lines\n", c.Percent)
}

// ranges writes ascending numbers as in "3, 7-9".
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		end := i + 1
		for end < len(numbers) && numbers[end] == numbers[end-1]+1 {
			end++
		}
		part := strconv.Itoa(numbers[i])
		if end > i+1 {
			part += "-" + strconv.Itoa(numbers[end-1])
		}
		parts = append(parts, part)
		i = end
	}
	return strings.Join(parts, ", ")
}
