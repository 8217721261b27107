package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // the reference request
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/request"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// reference is a request of a usual size: 5 mounts, 30 variables, 3 plugins.
//
//go:embed reference.json
var reference []byte

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench [flags] [REQUEST...]",
		Short: "Measure what each policy costs",
		Long: `Measure what a decision costs, and each policy in it.

Requests are as for eval; without any, one of a usual size is used (5 mounts,
30 variables, 3 plugins). Figures are for one request, averaged over all that are
given; times are medians. A policy is measured alone, so that the figures add up to
more than the whole: policies that are asked together share some of the cost.`,
	}
	options := addPolicyFlags(cmd)
	hostRoot := addHostRoot(cmd)
	only := cmd.Flags().StringArray("only", nil, "name of a policy to measure; may be repeated (default all that are in force)")
	complete(cmd, "only", options.policyNames)
	duration := cmd.Flags().Duration("time", 100*time.Millisecond, "how long each measurement takes")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *duration <= 0 {
			return usageError{fmt.Errorf("--time %v must be positive", *duration)}
		}
		set, _, err := options.load(cmd.Context())
		if err != nil {
			return err
		}
		requests, err := collect(benchRequests(cmd, args))
		if err != nil {
			return err
		}
		b := &bench{requests: requests, border: border{hostRoot: hostRoot.String()}, time: *duration}
		result, err := b.run(cmd.Context(), set, *only)
		if err != nil {
			return err
		}
		if format.json() {
			return printJSON(cmd.OutOrStdout(), result)
		}
		return result.print(cmd.OutOrStdout())
	}
	return cmd
}

func benchRequests(cmd *cobra.Command, args []string) iter.Seq2[*request.Request, error] {
	if len(args) == 0 {
		return request.Read("reference.json", bytes.NewReader(reference))
	}
	return readRequests(cmd, args)
}

func collect(requests iter.Seq2[*request.Request, error]) ([]*request.Request, error) {
	var list []*request.Request
	for r, err := range requests {
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// bench measures decisions about some requests.
type bench struct {
	requests []*request.Request
	border   border
	time     time.Duration
}

// benchResult is what one request costs on average.
type benchResult struct {
	Requests int `json:"requests"`
	// Decision is everything, from NRI's message to the decision; Review the part of it
	// that makes a review of the message.
	Decision cost         `json:"decision"`
	Review   cost         `json:"review"`
	Policies []policyCost `json:"policies"` // the dearest first
	Revision string       `json:"revision"`
}

type policyCost struct {
	Policy string `json:"policy"`
	cost
	// Fuel that a WebAssembly policy burns, in a decision.
	Fuel uint64 `json:"fuel,omitempty"`
}

func (b *bench) run(ctx context.Context, set *policy.Set, only []string) (*benchResult, error) {
	names, err := inForce(set, only)
	if err != nil {
		return nil, err
	}
	result := &benchResult{Requests: len(b.requests), Policies: []policyCost{}, Revision: set.Revision()}
	reviews := b.reviews()
	if result.Review, err = b.measure(ctx, func() { b.reviews() }); err != nil {
		return nil, err
	}
	e := engine.New(set.Rules())
	if err := judgeable(ctx, e, b.requests, reviews); err != nil {
		return nil, err
	}
	result.Decision, err = b.measure(ctx, func() {
		for _, r := range b.reviews() {
			e.Decide(ctx, r)
		}
	})
	for _, name := range names {
		if err != nil {
			return nil, err
		}
		var c policyCost
		c, err = b.alone(ctx, set, name, reviews)
		result.Policies = append(result.Policies, c)
	}
	slices.SortStableFunc(result.Policies, func(a, b policyCost) int { return cmp.Compare(b.Nanoseconds, a.Nanoseconds) })
	return result, err
}

// inForce returns the names of the policies to measure.
func inForce(set *policy.Set, only []string) ([]string, error) {
	var names, known []string
	for _, p := range set.Policies() {
		known = append(known, p.Name)
		if len(only) == 0 && p.Enforcement != engine.Off {
			names = append(names, p.Name)
		}
	}
	for _, name := range only {
		if !slices.Contains(known, name) {
			return nil, usageError{fmt.Errorf("--only: there is no policy %q; there are %s", name, strings.Join(known, ", "))}
		}
		names = append(names, name)
	}
	return names, nil
}

func (b *bench) reviews() []*engine.Review {
	b.border.seen = map[string]seen{}
	reviews := make([]*engine.Review, len(b.requests))
	for i, r := range b.requests {
		reviews[i] = b.border.review(r)
	}
	return reviews
}

// judgeable says which request cannot be judged: its cost would mean nothing.
func judgeable(ctx context.Context, e *engine.Engine, requests []*request.Request, reviews []*engine.Review) error {
	for i, r := range reviews {
		if d := e.Decide(ctx, r); outcomeOf(d) == failed {
			return fmt.Errorf("%s: could not be judged: %w", requests[i].Where, errors.New(strings.Join(d.Reasons(), "; ")))
		}
	}
	return nil
}

// alone measures what one policy costs when it is the only one.
func (b *bench) alone(ctx context.Context, set *policy.Set, name string, reviews []*engine.Review) (policyCost, error) {
	one, err := set.Alone(name)
	if err != nil {
		return policyCost{}, err
	}
	c := policyCost{Policy: name}
	for _, r := range reviews {
		for _, x := range one.Judge(ctx, r).Costs {
			c.Fuel += x.Fuel
		}
	}
	c.Fuel /= uint64(len(reviews))
	c.cost, err = b.measure(ctx, func() {
		for _, r := range reviews {
			one.Judge(ctx, r)
		}
	})
	return c, err
}

func (b *bench) measure(ctx context.Context, f func()) (cost, error) {
	c := measure(f, b.time).per(len(b.requests))
	return c, context.Cause(ctx)
}

func (r *benchResult) print(w io.Writer) error {
	style := text.StyleOf(w)
	table := text.Table{Header: []string{"", "time", "allocations", "fuel"}}
	row := func(name string, c cost, fuel string) {
		table.Row(text.Cell{Text: name}, text.Cell{Text: fmt.Sprintf("%9.1f us", float64(c.Nanoseconds)/1e3)},
			text.Cell{Text: fmt.Sprintf("%11d", c.Allocations)}, text.Cell{Text: fuel})
	}
	row("decision", r.Decision, "")
	row("of it making the review", r.Review, "")
	for _, p := range r.Policies {
		fuel := ""
		if p.Fuel > 0 {
			fuel = fmt.Sprint(p.Fuel)
		}
		row(p.Policy+", alone", p.cost, fuel)
	}
	return table.Write(w, text.Width(w), style)
}
