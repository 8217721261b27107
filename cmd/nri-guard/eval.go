package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/containerd/nri/pkg/api"
	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/request"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/nri"
)

func newEval() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval [flags] REQUEST...",
		Short: "Judge recorded requests",
		Long: `Judge recorded requests, as a runtime with the guard embedded would.

A REQUEST is a file, or - for standard input, that holds one or more of NRI's
ValidateContainerAdjustmentRequest as protobuf JSON or YAML, or lines of the
decision log, which are judged again. Requests are judged in order; an update of
another container is judged by what an earlier request said of that container.

The exit code is 0 when all are allowed, 1 when one is denied, and 2 when one could
not be judged: it is malformed, or a policy failed. With --format json a line is
printed for each.`,
		Example: `  nri-guard eval --profile restricted request.json
  nri-guard eval --config /etc/nri-guard/config.yaml /var/log/nri-guard/decisions.ndjson`,
		Args: cobra.MinimumNArgs(1),
	}
	options := addPolicyFlags(cmd)
	hostRoot := addHostRoot(cmd)
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rules, err := options.rules(cmd.Context())
		if err != nil {
			return err
		}
		e := &evaluation{
			engine: engine.New(rules),
			border: border{seen: map[string]seen{}, hostRoot: hostRoot.String()},
			out:    cmd.OutOrStdout(),
			json:   format.json(),
			unmask: rules.Unmask,
		}
		for r, err := range readRequests(cmd, args) {
			if err == nil {
				err = e.judge(cmd.Context(), r)
			}
			if err != nil {
				return err
			}
		}
		return e.worst.error()
	}
	return cmd
}

// readRequests reads the requests of all files, in order, until the first error.
func readRequests(cmd *cobra.Command, names []string) iter.Seq2[*request.Request, error] {
	return func(yield func(*request.Request, error) bool) {
		for _, name := range names {
			for r, err := range readFile(cmd, name) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

func readFile(cmd *cobra.Command, name string) iter.Seq2[*request.Request, error] {
	if name == "-" {
		return request.Read("-", cmd.InOrStdin())
	}
	return func(yield func(*request.Request, error) bool) {
		f, err := os.Open(name)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close() //nolint:errcheck // only read from
		if info, err := f.Stat(); err == nil && info.IsDir() {
			yield(nil, fmt.Errorf("%s: is a directory; name the files in it", name))
			return
		}
		request.Read(name, f)(yield)
	}
}

// border makes reviews of requests. It remembers the containers that it has seen.
type border struct {
	hostRoot string
	places   nri.Places
	seen     map[string]seen
}

type seen struct {
	pod       *api.PodSandbox
	container *api.Container
}

func (b *border) review(r *request.Request) *engine.Review {
	if r.Review != nil {
		return r.Review
	}
	n := nri.Border{
		HostRoot: b.hostRoot,
		Places:   &b.places,
		Lookup: func(id string) (*api.PodSandbox, *api.Container) {
			s := b.seen[id]
			return s.pod, s.container
		},
	}
	review := n.Adjustment(r.Message)
	if id := r.Message.GetContainer().GetId(); id != "" {
		b.seen[id] = seen{r.Message.GetPod(), r.Message.GetContainer()}
	}
	return review
}

// evaluation judges requests and prints what comes of them.
type evaluation struct {
	engine *engine.Engine
	border border
	out    io.Writer
	json   bool
	unmask []string
	worst  outcome
}

func (e *evaluation) judge(ctx context.Context, r *request.Request) error {
	review := e.border.review(r)
	d := e.engine.Decide(ctx, review)
	if ctx.Err() != nil { // the decision says no more than that
		return context.Cause(ctx)
	}
	e.worst = max(e.worst, outcomeOf(d))
	if e.json {
		result, err := audit.NewResult(d, e.unmask)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Where, err)
		}
		return printJSON(e.out, result)
	}
	if err := printDecision(e.out, text.StyleOf(e.out), r.Where, review, d); err != nil {
		return err
	}
	return e.noteMasked(r)
}

// noteMasked says where a recorded decision cannot be judged as it was then.
func (e *evaluation) noteMasked(r *request.Request) error {
	if len(r.Masked) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(e.out, "  note       values of environment variables are masked in this record; policies saw *** in their place")
	return err
}
