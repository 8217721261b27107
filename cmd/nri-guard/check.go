package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
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

Warnings are likely mistakes, such as a change field that does not exist. The exit
code is 1 when something is wrong; with --strict also when there is a warning.`,
	}
	config := cmd.Flags().String("config", "", "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json") // fails only without such a flag
	modules := addWasm(cmd)
	strict := cmd.Flags().Bool("strict", false, "count warnings as findings")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := authorSettings(*config, args)
		if err != nil {
			return err
		}
		c.Policy.Wasm = append(c.Policy.Wasm, modules.modules()...)
		report := rego.Check(cmd.Context(), c.Sources())
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		unsound := checkModules(cmd.Context(), c, report)
		if len(c.Policy.Paths)+len(c.Policy.Wasm) > 0 {
			report.Policies = own(report.Policies)
		}
		if format.json() {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = printReport(cmd.OutOrStdout(), report)
		}
		switch {
		case err != nil:
			return err
		case len(report.Errors) > 0 || *strict && len(report.Warnings) > 0:
			return errDenied
		}
		return unsound
	}
	return cmd
}

// checkModules loads everything, unless something is wrong already, and adds to the
// report what is to say of WebAssembly modules. The error is about the rest of the
// configuration.
func checkModules(ctx context.Context, c *config, report *rego.Report) error {
	if len(report.Errors) > 0 {
		return nil
	}
	set, err := policy.Load(ctx, c.Config)
	var module *wasm.ConfigError
	switch {
	case errors.As(err, &module):
		report.Errors = append(report.Errors, rego.Problem{File: "modules", Message: err.Error()})
		return nil
	case err != nil:
		return err
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
		if c, err = readConfig(file); err != nil {
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
		fmt.Fprintln(&out, style.Bad(text.Clean(p.String())))
	}
	for _, p := range r.Warnings {
		p.Message = "warning: " + p.Message
		fmt.Fprintln(&out, style.Mixed(text.Clean(p.String())))
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
			text.Cell{Text: fields}, text.Cell{Text: text.Clean(p.Title)})
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
