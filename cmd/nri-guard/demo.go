package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/jsondiff"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// demoTime bounds the demonstration.
const demoTime = 30 * time.Second

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole thing, with no container runtime installed",
		Long: `Show the whole thing, real, in a temporary directory.

An embedded daemon listens for NRI plugins, plugins connect in processes of their
own, containers are created, and the policies of profile baseline decide what the
plugins may change of them. Writable mounts are stripped instead of denied.
Neither root nor a container runtime is needed; no container is run. The exit code
is 0 when everything went as it should.`,
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// A reader that goes away must not keep the demonstration from cleaning up.
		signal.Ignore(syscall.SIGPIPE)
		ctx, cancel := context.WithTimeout(cmd.Context(), demoTime)
		defer cancel()
		out := cmd.OutOrStdout()
		progress := out
		if format.json() {
			progress = io.Discard
		}
		if err := log.SetLevel("error"); err != nil { // NRI tells a lot
			return err
		}
		results, err := runDemo(ctx, progress)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if format.json() {
			err = printJSON(out, results)
		} else {
			err = printDemo(out, results)
		}
		return errors.Join(err, checkDemo(results))
	}
	return cmd
}

// demoResult is what became of one container.
type demoResult struct {
	Container string `json:"container"`
	// Plugin that was to act on it, INDEX-NAME, empty where none was.
	Plugin  string          `json:"plugin"`
	Verdict string          `json:"verdict"`
	Asked   []demoChange    `json:"asked"`
	Result  audit.Result    `json:"result"`
	Spec    []jsondiff.Line `json:"spec"` // how the OCI spec came to differ
	want    demoPlugin
	got     outcome
}

// demoChange is one change that a plugin asked for, and what became of it.
type demoChange struct {
	Change  string `json:"change"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	outcome outcome
}

// runDemo starts a daemon, has plugins connect, and creates a container for each
// of them and one that none acts on.
func runDemo(ctx context.Context, progress io.Writer) (_ []demoResult, err error) {
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) } //nolint:errcheck // of no consequence
	set, err := policy.Load(ctx, policy.Config{Policy: policy.Policies{
		Enforcement: map[string]engine.Enforcement{"writable_mounts": engine.Strip}}})
	if err != nil {
		return nil, err
	}
	daemon, err := startDemoDaemon(ctx, set.Rules())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, daemon.stop()) }()
	say("An embedded daemon with NRI listens on %s.", daemon.socket())
	say("Profile baseline decides, revision %s.", set.Revision())
	for _, p := range demoPlugins() {
		pid, err := daemon.launch(ctx, p)
		if err != nil {
			return nil, err
		}
		say("Plugin %s-%s connected as process %d; it %s.", p.index, p.name, pid, p.story)
	}
	var results []demoResult
	for _, p := range slices.Concat([]demoPlugin{{want: allowed}}, demoPlugins()) {
		r, err := daemon.demonstrate(ctx, p)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	if ctx.Err() != nil { // then plugins may have been missing
		return nil, context.Cause(ctx)
	}
	return results, nil
}

// demonstrate creates a container that the plugin is told to act on.
func (d *demoDaemon) demonstrate(ctx context.Context, p demoPlugin) (demoResult, error) {
	before, after := demoSpec(p.name), demoSpec(p.name)
	result := demoResult{Container: "web", Asked: []demoChange{}, Spec: []jsondiff.Line{}, want: p}
	if p.name != "" {
		result.Container, result.Plugin = "with-"+p.name, p.index+"-"+p.name
	}
	pod := &api.PodSandbox{Id: "pod-" + result.Container, Name: result.Container, Namespace: "demo"}
	err := d.create(ctx, pod, after, demoContainer(result.Container, pod, after))
	var denial *engine.Denied
	if err != nil && !errors.As(err, &denial) {
		return result, fmt.Errorf("creating container %s: %w", result.Container, err)
	}
	review, decision := d.witness.last()
	if decision == nil {
		return result, fmt.Errorf("nobody decided on container %s", result.Container)
	}
	result.got = outcomeOf(decision)
	result.Verdict = result.got.String()
	if result.Result, err = audit.NewResult(decision, nil); err != nil {
		return result, err
	}
	for _, c := range review.Changes {
		result.Asked = append(result.Asked, demoVerdict(c, decision))
	}
	lines, err := jsondiff.Diff(before, after)
	result.Spec = append(result.Spec, lines...)
	return result, err
}

// demoVerdict says what became of a change, and why.
func demoVerdict(c *engine.Change, d *engine.Decision) demoChange {
	result := demoChange{Change: c.String()}
	var reasons []string
	for _, v := range d.Violations {
		if v.Change == c.ID && v.Enforcement < engine.Audit {
			reasons = append(reasons, v.Policy+": "+v.Message)
		}
	}
	result.Reason = strings.Join(reasons, "\n")
	switch {
	case len(reasons) == 0 && d.Allowed:
		result.outcome = allowed
	case d.Allowed:
		result.outcome = stripped
	default:
		result.outcome = denied
	}
	result.Verdict = result.outcome.String()
	return result
}

// checkDemo says what went otherwise than it should.
func checkDemo(results []demoResult) error {
	var errs []error
	for _, r := range results {
		if r.got != r.want.want {
			errs = append(errs, fmt.Errorf("container %s should have been %s, but was %s", r.Container, r.want.want, r.got))
		}
		var spec []string
		for _, l := range r.Spec {
			spec = append(spec, l.Op+" "+l.Path+" "+string(l.Value))
		}
		if !slices.Equal(spec, r.want.spec) {
			errs = append(errs, fmt.Errorf("the OCI spec of container %s should differ by %q, but does by %q", r.Container, r.want.spec, spec))
		}
	}
	return errors.Join(errs...)
}
