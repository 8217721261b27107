package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nri-guard/nri-guard/engine/internal/deadline"
)

// DefaultTimeout is how long a decision may take when [Rules.Timeout] is zero.
const DefaultTimeout = 500 * time.Millisecond

// Policies judges reviews. It is safe for concurrent use.
type Policies interface {
	// Judge asks every policy and collects what they say. It returns by the
	// deadline of ctx, with a [Failure] for each policy that had no answer; where ctx
	// is [Unwatched] no later than its policies, and reads nothing of r afterwards.
	Judge(ctx context.Context, r *Review) Verdict
	// Revision names what the policies were loaded from: the same sources and
	// configuration give the same revision.
	Revision() string
}

// Verdict is what [Policies] say of a review. Of a violation they fill Policy,
// Message, Change and Enforcement; a message may be left empty when the change
// speaks for itself.
type Verdict struct {
	Violations []Violation
	Warnings   []Violation
	Failures   []Failure
	// Costs are what policies burnt that are metered.
	Costs []Cost
}

// Recorder keeps decisions. It is safe for concurrent use.
type Recorder interface {
	// Record returns once the decision is written. An error, or the end of ctx, makes
	// the decision a denial, unless [Rules.RecordBestEffort] is set. Neither r nor d
	// may be modified. What was recorded as allowed, and is denied because that took
	// too long, is recorded again with the same ID.
	Record(ctx context.Context, r *Review, d *Decision) error
}

// Rules is everything that a decision is made by. It is swapped whole, so that
// no decision sees half of a reload. It must not be modified once in use.
type Rules struct {
	// Policies must not be nil: an engine without any denies.
	Policies   Policies
	Grants     []Grant
	Exemptions []Exemption
	// Timeout bounds a decision; the caller's deadline may be nearer. Zero is
	// [DefaultTimeout].
	Timeout time.Duration
	// Recorder is told every decision before it is returned; nil records nowhere.
	Recorder Recorder
	// RecordBestEffort lets a decision stand that could not be recorded.
	RecordBestEffort bool
	// Unmask holds patterns, as of [path.Match], for names of environment
	// variables whose values may appear in messages.
	Unmask []string
}

// Engine decides reviews by its current [Rules]. It is safe for concurrent use
// and holds no lock while a policy runs.
type Engine struct {
	rules atomic.Pointer[Rules]
}

// New returns an engine with the given rules.
func New(rules Rules) *Engine {
	e := &Engine{}
	e.Swap(rules)
	return e
}

// Swap replaces the rules. Decisions under way end with those they began with.
func (e *Engine) Swap(rules Rules) { e.rules.Store(&rules) }

// Rules returns the current rules.
func (e *Engine) Rules() Rules {
	if r := e.rules.Load(); r != nil {
		return *r
	}
	return Rules{}
}

// Decide answers a review. It returns no error: whatever goes wrong is in the
// decision, and denies. It marks the review's changes as granted where they are;
// the review must not be used by anybody else meanwhile. What takes longer than it may is
// left to itself, unless ctx is [Unwatched].
func (e *Engine) Decide(ctx context.Context, r *Review) *Decision {
	rules := e.Rules()
	start := time.Now()
	d := &Decision{ID: newID(), Time: start.UTC()}
	ctx, cancel := deadline.With(ctx, cmp.Or(rules.Timeout, DefaultTimeout))
	defer cancel()

	rules.decide(ctx, r, d)
	d.Duration = time.Since(start)
	rules.record(ctx, r, d)
	return d
}

// decide fills d. A panic on the way is a failure.
func (rules *Rules) decide(ctx context.Context, r *Review, d *Decision) {
	defer func() {
		if p := recover(); p != nil {
			d.fail(panicked(rules.Unmask, r, p))
		}
		slices.SortStableFunc(d.Failures, compareFailures)
	}()
	if r == nil {
		d.fail("there is nothing to review")
		return
	}
	if len(r.Malformed) > 0 {
		d.malformed(r.malformation(), r.Malformed, newMask(rules.Unmask, r))
	}
	if rules.Policies == nil {
		d.fail("no policies are loaded")
		return
	}
	d.Revision = rules.Policies.Revision()
	rules.mark(r)
	verdict := rules.judge(ctx, r, d)
	d.Violations, d.Warnings, d.Costs = verdict.Violations, verdict.Warnings, addCosts(nil, verdict.Costs)
	d.Failures = append(d.Failures, verdict.Failures...)
	if err := ctx.Err(); err != nil {
		d.fail(late(ctx))
	}

	denied, strip := d.weigh(r)
	switch {
	case denied:
	case len(strip) == 0:
		d.Allowed, d.Approved = true, r
	default:
		rules.strip(ctx, r, strip, d)
	}
}

// judge asks the policies and completes what they say: attribution, messages,
// exemptions, order.
func (rules *Rules) judge(ctx context.Context, r *Review, d *Decision) Verdict {
	v := rules.Policies.Judge(ctx, r)
	if len(v.Violations)+len(v.Warnings)+len(v.Failures) == 0 {
		return v
	}
	mask := newMask(rules.Unmask, r)
	v.Violations = rules.complete(r, v.Violations, mask, &v)
	v.Warnings = rules.complete(r, v.Warnings, mask, &v)
	for i := range v.Failures {
		v.Failures[i].Message = Brief(mask.text(v.Failures[i].Message), maxMessage)
	}
	v.Failures = slices.DeleteFunc(v.Failures, func(f Failure) bool {
		return rules.exempt(d, r, f.Policy, "", f.Message)
	})
	v.Violations = slices.DeleteFunc(v.Violations, func(x Violation) bool {
		return rules.exempt(d, r, x.Policy, x.Change, x.Message)
	})
	slices.SortFunc(v.Violations, compareViolations)
	slices.SortFunc(v.Warnings, compareViolations)
	slices.SortFunc(v.Failures, compareFailures)
	return v
}

// complete fills in what a policy leaves to the engine. An entry that names a
// change that does not exist becomes a failure of its policy.
func (rules *Rules) complete(r *Review, entries []Violation, mask mask, v *Verdict) []Violation {
	kept := entries[:0]
	for _, x := range entries {
		var c *Change
		if x.Change != "" {
			if c = r.Change(x.Change); c == nil {
				v.Failures = append(v.Failures, Failure{Policy: x.Policy, Enforcement: x.Enforcement,
					Message: fmt.Sprintf("it objects to a change %q that is not in the review", x.Change)})
				continue
			}
			x.Field, x.Key, x.Plugin = c.Field, c.Key, c.Plugin.String()
			if x.Message == "" {
				x.Message = "may not " + c.masked(func(s string) string { return mask.about(c, s) })
			}
		}
		x.Message = Brief(mask.about(c, x.Message), maxMessage)
		kept = append(kept, x)
	}
	return kept
}

// weigh says whether the violations and failures deny, and if they do not, which
// changes have to be taken out.
func (d *Decision) weigh(r *Review) (denied bool, strip []string) {
	for _, f := range d.Failures {
		denied = denied || f.Enforcement.denies()
	}
	for _, v := range d.Violations {
		switch {
		case v.Enforcement == Strip && v.Change != "" && r.Strip != nil:
			strip = append(strip, v.Change)
		case v.Enforcement.denies():
			denied = true
		}
	}
	slices.Sort(strip)
	return denied, slices.Compact(strip)
}

// strip takes changes out of the review and judges what remains. Anything that
// a policy newly objects to then is a denial: taking out more and more until
// nothing objects could end in a container that nobody asked for.
func (rules *Rules) strip(ctx context.Context, r *Review, ids []string, d *Decision) {
	rest, err := r.Strip(r, ids)
	if err == nil && rest == nil {
		err = errors.New("nothing remained")
	}
	if err != nil {
		d.fail("the changes objected to could not be taken out: " + err.Error())
		return
	}
	d.malformed("malformed request after stripping: ", rest.Malformed, newMask(rules.Unmask, r))
	rules.mark(rest)
	again := rules.judge(ctx, rest, d)
	d.Costs = addCosts(d.Costs, again.Costs)
	for _, f := range again.Failures {
		if f.Enforcement.denies() {
			d.Failures = append(d.Failures, f)
		}
	}
	objected := false
	for _, v := range again.Violations {
		if v.Enforcement.denies() {
			v.Message += " (after stripping)"
			d.Violations = append(d.Violations, v)
			objected = true
		}
	}
	if ctx.Err() != nil {
		d.fail(late(ctx))
	}
	if objected || slices.ContainsFunc(d.Failures, func(f Failure) bool { return f.Enforcement.denies() }) {
		slices.SortFunc(d.Violations, compareViolations)
		return
	}
	d.Stripped = missing(r.Changes, rest.Changes)
	d.Allowed, d.Approved = true, rest
}

// missing returns the changes of before that have no counterpart in after. Ids
// may have moved up, so that changes are paired by what they say.
func missing(before, after []*Change) []*Change {
	left := make(map[string]int, len(after))
	for _, c := range after {
		left[c.fingerprint()]++
	}
	var gone []*Change
	for _, c := range before {
		if f := c.fingerprint(); left[f] > 0 {
			left[f]--
			continue
		}
		gone = append(gone, c)
	}
	return gone
}

// fail adds a failure that denies.
func (d *Decision) fail(message string) {
	d.Failures = append(d.Failures, Failure{Message: Brief(message, maxMessage)})
	d.Allowed, d.Approved, d.Stripped = false, nil, nil
}

// malformed fails for each reason why no runtime could carry out what was asked.
func (d *Decision) malformed(prefix string, reasons []string, mask mask) {
	for _, m := range reasons {
		d.fail(prefix + mask.text(m))
	}
}

// malformation is what the reasons why a review is malformed begin with. Nothing is
// malformed about a plugin that may not register: the reasons say it all.
func (r *Review) malformation() string {
	if r.Operation == RegisterPlugin {
		return ""
	}
	return "malformed request: "
}

func late(ctx context.Context) string {
	return "the decision was not made in time: " + context.Cause(ctx).Error()
}

func compareFailures(a, b Failure) int {
	return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Message, b.Message))
}

func compareViolations(a, b Violation) int {
	return cmp.Or(
		cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.Change, b.Change),
		strings.Compare(a.Message, b.Message),
	)
}

// newID returns a UUID of version 4 (RFC 9562).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}
