package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [flags] [PATH...]",
		Short: "Compile policies against the schema and say what is wrong",
		Long: `Compile policies and their tests, check their types against the schema of the
review document, and say what is wrong, by file and line. A PATH is a directory, a
.rego file or a bundle; without any the library is checked and, where there is one,
what the configuration names. With --config the whole configuration is checked too,
with --wasm modules: that they can be loaded, and set up within their bounds.

Warnings are likely mistakes, such as a change field that does not exist, and files of
the configuration that others may write, with which "nri-guard run" would not start. The
exit code is 1 when something is wrong; with --strict also when there is a warning. It is
2 when the configuration is one that nothing could run with.`,
	}
	config := cmd.Flags().String("config", "", "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json") // fails only without such a flag
	modules := addWasm(cmd)
	strict := cmd.Flags().Bool("strict", false, "count warnings as findings")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := authorSettings(*config, args)
		if err == nil {
			err = c.checkLaunched()
		}
		if err != nil && *config != "" && format.json() {
			report := &rego.Report{Warnings: []rego.Problem{}, Policies: []rego.Policy{}}
			return errors.Join(printJSON(cmd.OutOrStdout(), withConfig(report, *config, err)), errFailed)
		}
		if err != nil {
			return err
		}
		if err := modules.addTo(c); err != nil {
			return err
		}
		report := rego.Check(cmd.Context(), c.Sources())
		locate(c, *config, report.Errors)
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		unsound := checkModules(cmd.Context(), c, report)
		if err := checkFiles(*config, report); err != nil {
			return err
		}
		if len(c.Policy.Paths)+len(c.Policy.Wasm) > 0 {
			report.Policies = own(report.Policies)
		}
		if format.json() {
			err = printJSON(cmd.OutOrStdout(), withConfig(report, *config, unsound))
		} else {
			err = printReport(cmd.OutOrStdout(), report)
		}
		switch {
		case err != nil:
			return err
		case unsound != nil && format.json():
			return errFailed // it is in the report
		case unsound != nil:
			return unsound
		case len(report.Errors) > 0 || *strict && len(report.Warnings) > 0:
			return errDenied
		}
		return nil
	}
	return cmd
}

// withConfig adds to the report what keeps the configuration from being used.
func withConfig(report *rego.Report, file string, err error) *rego.Report {
	for _, one := range errorsOf(err) {
		report.Errors = append(report.Errors, problemOf(file, one))
	}
	return report
}

// checkFiles adds to the report which files of a configuration others may write, and
// what it says and most likely does not mean.
func checkFiles(file string, report *rego.Report) error {
	if file == "" {
		return nil
	}
	c, err := readConfig(file) // without what flags and arguments name
	if err != nil {
		return err
	}
	for _, err := range append(errorsOf(c.checkTrust(file)), c.warnings()...) {
		report.Warnings = append(report.Warnings, problemOf(file, err))
	}
	return nil
}

// locate says of problems with paths as a whole where the configuration names them.
func locate(c *config, file string, problems []rego.Problem) {
	for i, p := range problems {
		if _, ok := c.names(p); ok {
			problems[i] = problemOf(file, c.located(p))
		}
	}
}

// problemOf takes apart an error that begins with FILE: or FILE:LINE:.
func problemOf(file string, err error) rego.Problem {
	p := rego.Problem{File: file, Message: strings.TrimPrefix(err.Error(), file+":")}
	line, message, _ := strings.Cut(p.Message, ": ")
	if n, err := strconv.Atoi(line); err == nil {
		p.Line, p.Message = n, message
	}
	p.Message = strings.TrimSpace(p.Message)
	return p
}

// checkModules loads everything, unless something is wrong already, and adds to the
// report what is to say of WebAssembly modules. The error is about the rest of the
// configuration.
func checkModules(ctx context.Context, c *config, report *rego.Report) error {
	if len(report.Errors) > 0 {
		return nil
	}
	set, err := policy.Load(ctx, c.Config)
	if err != nil {
		for _, one := range errorsOf(err) {
			var module *wasm.ConfigError
			if !errors.As(one, &module) {
				return err
			}
			report.Errors = append(report.Errors, rego.Problem{File: c.Policy.Wasm[module.Index].Path, Message: one.Error()})
		}
		return nil
	}
	for _, p := range set.Policies() {
		if p.ABI != "" {
			report.Policies = append(report.Policies, p.Policy)
		}
	}
	return nil
}

// authorSettings are the settings of the subcommands for policy authors: the
// configuration, where there is one, and paths that must exist.
func authorSettings(file string, paths []string) (*config, error) {
	c := &config{Version: configVersion}
	if file != "" {
		var err error
		if c, err = readWhole(file); err != nil {
			return nil, err
		}
	}
	for _, p := range paths {
		if _, err := os.Stat(p); err != nil {
			return nil, err
		}
	}
	c.Policy.Paths = append(c.Policy.Paths, paths...)
	return c, nil
}

// own leaves the library's policies out.
func own(all []rego.Policy) []rego.Policy {
	list := []rego.Policy{}
	for _, p := range all {
		if !p.Library {
			list = append(list, p)
		}
	}
	return list
}

func printReport(w io.Writer, r *rego.Report) error {
	style := text.StyleOf(w)
	var out strings.Builder
	for _, p := range r.Errors {
		fmt.Fprintln(&out, style.Bad(engine.Printable(p.String())))
	}
	for _, p := range r.Warnings {
		p.Message = "warning: " + p.Message
		fmt.Fprintln(&out, style.Mixed(engine.Printable(p.String())))
	}
	if _, err := io.WriteString(w, out.String()); err != nil || len(r.Errors) > 0 {
		return err
	}
	table := text.Table{Header: []string{"policy", "enforcement", "profiles", "asked about", "title"}}
	for _, p := range r.Policies {
		fields := "everything"
		if len(p.Fields) > 0 {
			fields = join(p.Fields)
		}
		table.Row(text.Cell{Text: p.Name}, text.Cell{Text: p.Enforcement.String()}, text.Cell{Text: join(p.Profiles)},
			text.Cell{Text: fields}, text.Cell{Text: engine.Printable(p.Title)})
	}
	return table.Write(w, text.Width(w), style)
}

func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}
