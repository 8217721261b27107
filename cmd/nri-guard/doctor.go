package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/doctor"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// guardFile is where the guard's configuration is unless told otherwise.
const guardFile = "/etc/nri-guard/config.yaml"

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Say whether this node is really guarded, and what to paste where it is not",
		Long: `Look at the configuration of containerd, CRI-O and dockerd, at the guard's, at the
files that decide and at who listens on the sockets, and say what fails open, what is
weak, and how to mend it. Nothing is changed, the runtimes are not asked anything and
nothing that is found is run. Run it as root: others do not see enough.

With --root the node is looked at from elsewhere: from a container that has the host's
file system mounted, or an image of a node that does not run. The guard's configuration is
then looked for below that directory too, unless --config says where it is.

The exit code is 1 when something fails open, 2 when something could not be looked at.`,
		Args: cobra.NoArgs,
	}
	root := hostRoot("/")
	cmd.Flags().Var(&root, "root", "absolute path of where the node's file system is")
	_ = cmd.MarkFlagDirname("root") // fails only without such a flag
	config := cmd.Flags().String("config", "", "configuration file of the guard (default "+guardFile+", below --root)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml", "json")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report := doctor.Inspect(cmd.Context(), inspection(cmd.Context(), string(root), *config))
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		var err error
		if out := cmd.OutOrStdout(); format.json() {
			err = printJSON(out, report)
		} else {
			err = report.Write(out, text.StyleOf(out), text.Width(out))
		}
		switch {
		case err != nil:
			return err
		case len(report.Problems) > 0:
			return errFailed
		case report.Count(doctor.FailOpen) > 0:
			return errDenied
		}
		return nil
	}
	return cmd
}

// inspection says what is to be looked at. Without a file that was named, the guard's
// configuration is the node's own; that there is none is a finding.
func inspection(ctx context.Context, root, file string) doctor.Options {
	o := doctor.Options{Root: root, GuardFile: cmp.Or(file, guardFile)}
	below := "/"
	if file == "" {
		below, file = root, filepath.Join(root, guardFile)
	}
	o.GuardPlace = file
	if o.Problem = rereadable(file); o.Problem != nil {
		return o
	}
	c, err := readConfig(file)
	if errors.Is(err, fs.ErrNotExist) && o.GuardFile == guardFile {
		return o
	}
	if err == nil {
		at := c.At
		c.At = func(key string) string { return insideRoot(below, at(key)) }
		untrusted := c.move(below, file)
		o.Guard, err = describeGuard(ctx, c, below)
		if err == nil {
			o.Guard.File, o.Guard.Untrusted = o.GuardFile, untrusted
		}
	}
	o.Problem = err
	return o
}

// move has the configuration of another file system name its files where they are here,
// and says which of them others may write.
func (c *config) move(root, file string) (untrusted []error) {
	var paths []*string
	for i := range c.Policy.Paths {
		paths = append(paths, &c.Policy.Paths[i])
	}
	for i := range c.Policy.Wasm {
		paths = append(paths, &c.Policy.Wasm[i].Path)
	}
	for _, p := range paths {
		*p = insideRoot(root, *p) // relative ones were made absolute from where the file is here
	}
	untrusted = errorsOf(c.checkTrustBelow(root, insideRoot(root, file)))
	for _, p := range paths {
		*p = filepath.Join(root, *p)
	}
	return untrusted
}

// insideRoot is what a path is called in a file system, if it is below its root here.
func insideRoot(root, path string) string {
	if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
		return filepath.Join("/", rel)
	}
	return path
}

// describeGuard tells the doctor what the configuration says. The policies are loaded, so that
// it knows what is in force.
func describeGuard(ctx context.Context, c *config, root string) (*doctor.Guard, error) {
	set, err := policy.Load(ctx, c.Config)
	if err != nil {
		return nil, err
	}
	g := &doctor.Guard{
		At: c.At, Runtime: c.runtimeSocket(),
		Revision:  set.Revision(),
		Profile:   cmp.Or(c.Policy.Profile.Enforce, policy.Baseline),
		AuditPath: c.Audit.Path, BestEffort: c.Audit.BestEffort,
		Wasm: len(c.Policy.Wasm) > 0,
	}
	if c.Validator.Enabled {
		g.Validator = c.Validator.Name
	}
	if c.Proxy.Enabled {
		g.Proxy = &doctor.Proxy{
			Socket: c.Proxy.Socket, Mode: os.FileMode(c.Proxy.Mode), Owner: c.Proxy.socket().UID, Others: c.Proxy.others(),
			Launch: c.Proxy.Launch.Path, DropIn: c.Proxy.Launch.Config}
	}
	if c.Admin.Address != adminOff {
		g.Admin = c.Admin.Address
	}
	for _, p := range set.Policies() {
		g.Policies = append(g.Policies, doctor.Policy{
			Name: p.Name, Enforcement: p.Enforcement, Library: p.Library, Lowered: c.lowered(p.Name, p.Library, insideRoot(root, p.File))})
	}
	for _, e := range c.Exemptions {
		g.Exemptions = append(g.Exemptions, engine.Exemption{Policy: e.Policy, Namespaces: e.Namespaces})
	}
	for i, p := range c.Plugins {
		g.Grants = append(g.Grants, doctor.Grant{
			At: c.At(fmt.Sprintf("plugins[%d]", i)), Plugin: p.Name, Identified: p.Identity != nil, Grants: len(p.Grants)})
	}
	return g, nil
}

// others is the key that gives the socket to others than root, "" for none.
func (c *proxyConfig) others() string {
	switch {
	case c.UID != nil && *c.UID != 0:
		return "proxy.uid"
	case c.GID != nil && *c.GID != 0:
		return "proxy.gid"
	case c.Mode&0o077 != 0:
		return "proxy.mode"
	}
	return ""
}

// lowered says where a policy is told not to decide: in the configuration, or, if it is one's
// own, in its file.
func (c *config) lowered(name string, library bool, file string) string {
	if _, ok := c.Policy.Enforcement[name]; ok {
		return c.At("policy.enforcement." + name)
	}
	if library {
		return ""
	}
	return file + ": " + name
}

// errorsOf takes errors that were joined apart.
func errorsOf(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}
