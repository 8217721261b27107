package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

// configVersion is the version of the configuration file that this build reads.
const configVersion = 1

// config is the configuration file.
type config struct {
	Version       int             `yaml:"version" doc:"version of this format, 1"`
	Runtime       runtimeConfig   `yaml:"runtime" doc:"the container runtime"`
	Validator     validatorConfig `yaml:"validator" doc:"the guard as a validator of the runtime"`
	Proxy         proxyConfig     `yaml:"proxy" doc:"the guard between plugins and runtime"`
	policy.Config `yaml:",inline"`
	Audit         auditConfig `yaml:"audit" doc:"the decision log"`
	Admin         adminConfig `yaml:"admin" doc:"health and metrics of the service"`

	// Named is how many of the policies' paths are the file's: flags and arguments add
	// more.
	Named int `yaml:"-"`
}

// readConfig reads a configuration file. Relative paths in it start at the
// directory that it is in. Errors name file, line and key.
func readConfig(file string) (*config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := newConfig()
	at, err := policy.Decode(file, text, c)
	if err != nil {
		return nil, err
	}
	c.At, c.Named = at, len(c.Policy.Paths)
	if c.Version == 0 {
		return nil, fmt.Errorf("%s: is missing; this build reads version %d", at("version"), configVersion)
	}
	if c.Version != configVersion {
		return nil, fmt.Errorf("%s: is %d; this build reads version %d", at("version"), c.Version, configVersion)
	}
	c.absolute(filepath.Dir(file))
	if err := c.check(file); err != nil {
		return nil, err
	}
	return c, nil
}

// absolute has relative paths start at a directory.
func (c *config) absolute(dir string) {
	for i, p := range c.Policy.Paths {
		if !filepath.IsAbs(p) {
			c.Policy.Paths[i] = filepath.Join(dir, p)
		}
	}
	for i, m := range c.Policy.Wasm {
		if m.Path != "" && !filepath.IsAbs(m.Path) {
			c.Policy.Wasm[i].Path = filepath.Join(dir, m.Path)
		}
	}
}

// readWhole is readConfig for those who go on to load what the file names: that must be
// there.
func readWhole(file string) (*config, error) {
	c, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	return c, c.checkPaths()
}

// load loads the policies.
func (c *config) load(ctx context.Context) (*policy.Set, error) {
	set, err := policy.Load(ctx, c.Config)
	var all []error
	for _, one := range errorsOf(err) {
		var wrong *rego.LoadError
		if !errors.As(one, &wrong) {
			all = append(all, one)
			continue
		}
		for _, p := range wrong.Problems {
			all = append(all, c.located(p))
		}
	}
	return set, errors.Join(all...)
}

// located is a problem as an error.
func (c *config) located(p rego.Problem) error {
	if key, ok := c.names(p); ok {
		return fmt.Errorf("%s: %s: %s", c.At(key), p.File, p.Message)
	}
	return errors.New(p.String())
}

// names says by which key the configuration file names what a problem is with, where
// that is a path as a whole: nothing below it tells where to look.
func (c *config) names(p rego.Problem) (key string, ok bool) {
	i := slices.IndexFunc(c.Policy.Paths[:c.Named], func(path string) bool {
		return filepath.ToSlash(filepath.Clean(path)) == p.File
	})
	return fmt.Sprintf("policy.paths[%d]", i), i >= 0 && p.Line == 0
}

// policyFlags say which policies a subcommand uses.
type policyFlags struct {
	config  string
	profile *choice
	paths   []string
	wasm    *wasmFlag
}

func addPolicyFlags(cmd *cobra.Command) *policyFlags {
	f := &policyFlags{}
	cmd.Flags().StringVar(&f.config, "config", "", "configuration file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json") // fails only without such a flag
	f.profile = addChoice(cmd, "profile", "", "profile of the library to enforce; in place of the configuration's (default baseline)", policy.Profiles()...)
	cmd.Flags().StringArrayVar(&f.paths, "policy", nil, "directory, .rego file or bundle with policies besides the configuration's; may be repeated")
	f.wasm = addWasm(cmd)
	return f
}

// settings are the configuration file with the flags on top.
func (f *policyFlags) settings() (*config, error) {
	c := &config{Version: configVersion}
	if f.config != "" {
		var err error
		if c, err = readWhole(f.config); err != nil {
			return nil, err
		}
	}
	if f.profile.value != "" {
		c.Policy.Profile.Enforce = f.profile.value
	}
	c.Policy.Paths = append(c.Policy.Paths, f.paths...)
	return c, f.wasm.addTo(c)
}

// load loads the policies.
func (f *policyFlags) load(ctx context.Context) (*policy.Set, *config, error) {
	c, err := f.settings()
	if err != nil {
		return nil, nil, err
	}
	set, err := c.load(ctx)
	return set, c, err
}

// rules loads the policies and says what an engine decides by.
func (f *policyFlags) rules(ctx context.Context) (engine.Rules, error) {
	set, c, err := f.load(ctx)
	if err != nil {
		return engine.Rules{}, err
	}
	rules := set.Rules()
	rules.Unmask = c.Audit.Unmask
	return rules, nil
}

// policyNames completes the names of policies.
func (f *policyFlags) policyNames(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	set, _, err := f.load(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []cobra.Completion
	for _, p := range set.Policies() {
		names = append(names, cobra.CompletionWithDesc(p.Name, p.Title))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
