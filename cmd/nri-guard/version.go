package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versions says what the program was built from.
type versions struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	NRI      string `json:"nri"`
	OPA      string `json:"opa"`
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program, of NRI and of OPA",
		Args:  cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := buildVersions()
		if format.json() {
			return printJSON(cmd.OutOrStdout(), v)
		}
		program := v.Version
		if v.Revision != "" {
			program += " " + v.Revision
		}
		if v.Modified {
			program += " (modified)"
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "nri-guard %s\nnri       %s\nopa       %s\ngo        %s %s\n",
			program, v.NRI, v.OPA, v.Go, v.Platform)
		return err
	}
	return cmd
}

func buildVersions() versions {
	v := versions{
		Version:  "(devel)",
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		NRI:      "unknown",
		OPA:      "unknown",
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		switch m.Path {
		case "github.com/containerd/nri":
			v.NRI = m.Version
		case "github.com/open-policy-agent/opa":
			v.OPA = m.Version
		}
	}
	return v
}
