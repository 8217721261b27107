package engine_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
)

// judge is policies as a function.
type judge func(ctx context.Context, r *engine.Review) engine.Verdict

func (f judge) Judge(ctx context.Context, r *engine.Review) engine.Verdict { return f(ctx, r) }

func (judge) Revision() string { return "r1" }

// says is a judge that says the same of everything.
func says(v engine.Verdict) judge {
	return func(context.Context, *engine.Review) engine.Verdict {
		return engine.Verdict{Violations: slices.Clone(v.Violations), Warnings: slices.Clone(v.Warnings), Failures: slices.Clone(v.Failures)}
	}
}

func objects(list ...engine.Violation) judge { return says(engine.Verdict{Violations: list}) }

func fails(list ...engine.Failure) judge { return says(engine.Verdict{Failures: list}) }

// objectsWhileThere objects to changes as long as the review has them.
func objectsWhileThere(e engine.Enforcement, ids ...string) judge {
	return func(_ context.Context, r *engine.Review) (v engine.Verdict) {
		for _, id := range ids {
			if r.Change(id) != nil {
				v.Violations = append(v.Violations, engine.Violation{Policy: "p", Change: id, Enforcement: e})
			}
		}
		return v
	}
}

const secret = "hunter2hunter2"

// review has a change of the pod under review, one of a container in another
// namespace, one of a container that nobody knows, and a secret.
func review() *engine.Review {
	shop, other := &api.PodSandbox{Namespace: "shop"}, &api.PodSandbox{Namespace: "kube-system"}
	a, b := engine.Plugin{Name: "a", Index: "10"}, engine.Plugin{Name: "b", Index: "20"}
	r := &engine.Review{
		Version: 1, Operation: engine.CreateContainer, Pod: shop,
		Container: &api.Container{Id: "c0", Env: []string{"TOKEN=" + secret, "SHORT=1"}},
		Plugins:   []engine.Plugin{a, b},
		Changes: []*engine.Change{
			{ID: "env:KEY", Op: engine.Add, Field: engine.Env, Key: "KEY", Value: "new " + secret, Plugin: a, Owners: []engine.Plugin{a}, Container: "c0", Pod: shop},
			{ID: "mount:/data", Op: engine.Add, Field: engine.MountPoint, Key: "/data", Plugin: b, Owners: []engine.Plugin{b}, Container: "c0", Pod: shop,
				Value: &engine.Mount{Type: "bind", Source: "/srv"}},
			{ID: "resource:cpu.shares@c1", Op: engine.Add, Field: engine.Resource, Key: "cpu.shares", Value: int64(1), Container: "c1", Pod: other},
			{ID: "resource:cpu.shares@c2", Op: engine.Add, Field: engine.Resource, Key: "cpu.shares", Value: int64(1), Container: "c2"},
		},
	}
	r.Strip = func(r *engine.Review, ids []string) (*engine.Review, error) {
		rest := *r
		rest.Changes = slices.DeleteFunc(slices.Clone(r.Changes), func(c *engine.Change) bool { return slices.Contains(ids, c.ID) })
		return &rest, nil
	}
	return r
}

// recorder keeps what it is told, or fails.
type recorder struct {
	got []*engine.Decision
	do  func() error
}

func (r *recorder) Record(_ context.Context, _ *engine.Review, d *engine.Decision) error {
	r.got = append(r.got, d)
	if r.do == nil {
		return nil
	}
	return r.do()
}

func TestZeroValuesDeny(t *testing.T) {
	var d engine.Decision
	if err := d.Err(engine.CreateContainer); err == nil || err.Error() != "nri-guard denied CreateContainer: no reason was given" {
		t.Errorf("the zero decision is %v", err)
	}
	var e engine.Engine
	if d := e.Decide(t.Context(), review()); d.Allowed || !slices.Equal(d.Reasons(), []string{"no policies are loaded"}) {
		t.Errorf("the zero engine says %v, %v", d.Allowed, d.Reasons())
	}
	var enforcement engine.Enforcement
	if enforcement != engine.Deny {
		t.Errorf("the zero enforcement is %v", enforcement)
	}
}

func TestDecide(t *testing.T) {
	malformed := review()
	malformed.Malformed = []string{"b", "a variable that is " + secret}
	nothing := review()
	nothing.Changes = nil
	holey := review()
	holey.Changes = append(holey.Changes, nil)
	unstrippable := review()
	unstrippable.Strip = nil

	late := judge(func(ctx context.Context, _ *engine.Review) engine.Verdict {
		<-ctx.Done()
		return engine.Verdict{}
	})
	for name, tt := range map[string]struct {
		judge   judge
		rules   engine.Rules
		review  *engine.Review
		reasons []string // none: allowed
	}{
		"nobody objects":          {judge: objects()},
		"nothing to change":       {judge: objects(), review: nothing},
		"a warning":               {judge: says(engine.Verdict{Warnings: []engine.Violation{{Policy: "p", Message: "hm"}}})},
		"a violation":             {judge: objects(engine.Violation{Policy: "p", Message: "no"}), reasons: []string{"p: no"}},
		"a violation, audited":    {judge: objects(engine.Violation{Policy: "p", Message: "no", Enforcement: engine.Audit})},
		"a violation, off":        {judge: objects(engine.Violation{Policy: "p", Message: "no", Enforcement: engine.Off})},
		"no such enforcement":     {judge: objects(engine.Violation{Policy: "p", Message: "no", Enforcement: 17}), reasons: []string{"p: no"}},
		"a failure":               {judge: fails(engine.Failure{Policy: "p", Message: "boom"}), reasons: []string{"p: could not decide: boom"}},
		"a failure, to strip":     {judge: fails(engine.Failure{Policy: "p", Message: "boom", Enforcement: engine.Strip}), reasons: []string{"p: could not decide: boom"}},
		"a failure, audited":      {judge: fails(engine.Failure{Policy: "p", Message: "boom", Enforcement: engine.Audit})},
		"a failure, misenforced":  {judge: fails(engine.Failure{Policy: "p", Message: "boom", Enforcement: -1}), reasons: []string{"p: could not decide: boom"}},
		"strip without a change":  {judge: objects(engine.Violation{Policy: "p", Message: "no", Enforcement: engine.Strip}), reasons: []string{"p: no"}},
		"strip where one may not": {judge: objectsWhileThere(engine.Strip, "mount:/data"), review: unstrippable, reasons: []string{"p: may not add mount /data (bind from /srv, writable) (plugin 20-b, mount /data)"}},
		"a change that is none": {
			judge:   objects(engine.Violation{Policy: "p", Message: "no", Change: "mount:/dat"}),
			reasons: []string{`p: could not decide: it objects to a change "mount:/dat" that is not in the review`},
		},
		"a warning of a change that is none": {
			judge:   says(engine.Verdict{Warnings: []engine.Violation{{Policy: "p", Message: "hm", Change: "x"}}}),
			reasons: []string{`p: could not decide: it objects to a change "x" that is not in the review`},
		},
		"a change that is none, audited": {judge: objects(engine.Violation{Policy: "p", Change: "x", Enforcement: engine.Audit})},
		"everything, in order": {
			judge: says(engine.Verdict{
				Failures: []engine.Failure{{Policy: "z", Message: "f"}, {Policy: "b", Message: "f"}},
				Violations: []engine.Violation{{Policy: "z", Message: "2"}, {Policy: "a", Message: "1", Change: "mount:/data"}, {Policy: "a", Message: "2"},
					{Policy: "a", Message: "0", Change: "mount:/data"}, {Policy: "m", Message: "1", Enforcement: engine.Audit}},
			}),
			reasons: []string{"b: could not decide: f", "z: could not decide: f", "a: 2", "a: 0 (plugin 20-b, mount /data)", "a: 1 (plugin 20-b, mount /data)", "z: 2"},
		},
		"malformed":         {judge: objects(), review: malformed, reasons: []string{"malformed request: a variable that is ***", "malformed request: b"}},
		"a panic":           {judge: func(context.Context, *engine.Review) engine.Verdict { panic("of " + secret) }, reasons: []string{"panic: of *** in engine_test"}},
		"a nil change":      {judge: objects(), rules: engine.Rules{Grants: []engine.Grant{{}}}, review: holey, reasons: []string{"panic: runtime error: invalid memory address"}},
		"too late":          {judge: late, rules: engine.Rules{Timeout: time.Millisecond}, reasons: []string{"the decision was not made in time: context deadline exceeded"}},
		"no time at all":    {judge: objects(), rules: engine.Rules{Timeout: -1}, reasons: []string{"the decision was not made in time: context deadline exceeded"}},
		"could not be kept": {judge: objects(), rules: engine.Rules{Recorder: &recorder{do: func() error { return errors.New("disk full") }}}, reasons: []string{"the decision could not be recorded: disk full"}},
		"recorder panics":   {judge: objects(), rules: engine.Rules{Recorder: &recorder{do: func() error { panic("x") }}}, reasons: []string{"the decision could not be recorded: panic: x"}},
		"need not be kept":  {judge: objects(), rules: engine.Rules{RecordBestEffort: true, Recorder: &recorder{do: func() error { return errors.New("disk full") }}}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rules.Policies = tt.judge
			for _, ctx := range []context.Context{t.Context(), engine.Unwatch(t.Context())} {
				r := tt.review
				if r == nil {
					r = review()
				}
				d := engine.New(tt.rules).Decide(ctx, r)
				wantReasons(t, d, tt.reasons)
				if (d.Approved != nil) != d.Allowed || d.Stripped != nil {
					t.Errorf("allowed %v, approved %v, stripped %v", d.Allowed, d.Approved, d.Stripped)
				}
				if d.Revision != "r1" {
					t.Errorf("revision %q", d.Revision)
				}
			}
		})
	}
}

// wantReasons compares the reasons of a denial; of a panic its beginning.
func wantReasons(t *testing.T, d *engine.Decision, want []string) {
	t.Helper()
	got := d.Reasons()
	for i, reason := range got {
		if i < len(want) && strings.HasPrefix(want[i], "panic: ") && strings.HasPrefix(reason, want[i]) {
			got[i] = want[i]
		}
	}
	if !slices.Equal(got, want) || d.Allowed != (len(want) == 0) {
		t.Errorf("allowed %v because of\n %s\nwant\n %s", d.Allowed, strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

func TestNothingToReview(t *testing.T) {
	kept := &recorder{}
	d := engine.New(engine.Rules{Policies: objects(), Recorder: kept}).Decide(t.Context(), nil)
	wantReasons(t, d, []string{"there is nothing to review"})
}

// The caller's deadline and cancellation count too.
func TestCallersDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := engine.New(engine.Rules{Policies: objects()}).Decide(ctx, review())
	wantReasons(t, d, []string{"the decision was not made in time: context canceled"})
}

// A policy is told the deadline.
func TestDeadlineIsTold(t *testing.T) {
	var left time.Duration
	e := engine.New(engine.Rules{Policies: judge(func(ctx context.Context, _ *engine.Review) (v engine.Verdict) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return v
	})})
	if e.Decide(t.Context(), review()); left <= 0 || left > engine.DefaultTimeout {
		t.Errorf("%v were left", left)
	}
}

func TestDecisionIsComplete(t *testing.T) {
	kept := &recorder{}
	e := engine.New(engine.Rules{Policies: objects(engine.Violation{Policy: "p", Message: "no", Change: "mount:/data"}), Recorder: kept})
	d := e.Decide(t.Context(), review())
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d.ID) {
		t.Errorf("id %q is no UUID of version 4", d.ID)
	}
	if d.Time.IsZero() || d.Time.Location() != time.UTC || d.Duration <= 0 {
		t.Errorf("time %v, duration %v", d.Time, d.Duration)
	}
	want := []engine.Violation{{Policy: "p", Message: "no", Plugin: "20-b", Change: "mount:/data", Field: engine.MountPoint, Key: "/data"}}
	if diff := cmp.Diff(want, d.Violations); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(kept.got) != 1 || kept.got[0].ID != d.ID || len(kept.got[0].Violations) != 1 {
		t.Errorf("recorded %v", kept.got)
	}
	var denied *engine.Denied
	if err := d.Err(engine.CreateContainer); !errors.As(err, &denied) || denied.Decision != d {
		t.Errorf("got %v", err)
	}
	if err := (&engine.Decision{Allowed: true}).Err(engine.CreateContainer); err != nil {
		t.Errorf("an allowed decision is an error: %v", err)
	}
}

// The same review and rules give the same decision.
func TestDecideIsDeterministic(t *testing.T) {
	say := engine.Verdict{}
	for i := range 20 {
		p := fmt.Sprint("p", i%7)
		say.Violations = append(say.Violations, engine.Violation{Policy: p, Message: fmt.Sprint(i % 3), Change: "mount:/data"})
		say.Failures = append(say.Failures, engine.Failure{Policy: p, Message: fmt.Sprint(i % 3)})
		say.Warnings = append(say.Warnings, engine.Violation{Policy: p, Message: fmt.Sprint(i % 3)})
	}
	first := engine.New(engine.Rules{Policies: says(say)}).Decide(t.Context(), review())
	slices.Reverse(say.Violations)
	slices.Reverse(say.Failures)
	slices.Reverse(say.Warnings)
	again := engine.New(engine.Rules{Policies: says(say)}).Decide(t.Context(), review())
	again.ID, again.Time, again.Duration = first.ID, first.Time, first.Duration
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the order of the answers shows:\n%s", diff)
	}
}

func TestStrip(t *testing.T) {
	all := func(r *engine.Review) (ids []string) {
		for _, c := range r.Changes {
			ids = append(ids, c.ID)
		}
		return ids
	}
	refuses := func(*engine.Review, []string) (*engine.Review, error) { return nil, errors.New("cannot") }
	gone := func(*engine.Review, []string) (*engine.Review, error) { return nil, nil }
	same := func(r *engine.Review, _ []string) (*engine.Review, error) { return r, nil }
	spoils := func(r *engine.Review, _ []string) (*engine.Review, error) {
		return &engine.Review{Malformed: []string{"half of it"}}, nil
	}
	explodes := func(*engine.Review, []string) (*engine.Review, error) { panic("bang") }

	both := func(a, b judge) judge {
		return func(ctx context.Context, r *engine.Review) engine.Verdict {
			v, w := a(ctx, r), b(ctx, r)
			return engine.Verdict{Violations: append(v.Violations, w.Violations...), Failures: append(v.Failures, w.Failures...)}
		}
	}
	mounts := objectsWhileThere(engine.Strip, "mount:/data")
	// needsMount objects to a review without the mount.
	needsMount := judge(func(_ context.Context, r *engine.Review) (v engine.Verdict) {
		if r.Change("mount:/data") == nil {
			v.Violations = append(v.Violations, engine.Violation{Policy: "needs", Message: "no mount"})
		}
		return v
	})
	failsWithoutMount := judge(func(_ context.Context, r *engine.Review) (v engine.Verdict) {
		if r.Change("mount:/data") == nil {
			v.Failures = append(v.Failures, engine.Failure{Policy: "needs", Message: "boom"})
		}
		return v
	})
	about := "p: may not add mount /data (bind from /srv, writable) (plugin 20-b, mount /data)"
	for name, tt := range map[string]struct {
		judge   judge
		strip   func(*engine.Review, []string) (*engine.Review, error)
		gone    []string
		reasons []string
	}{
		"one":                     {judge: mounts, gone: []string{"mount:/data"}},
		"one, audited by another": {judge: both(mounts, objectsWhileThere(engine.Audit, "mount:/data", "env:KEY")), gone: []string{"mount:/data"}},
		"two":                     {judge: objectsWhileThere(engine.Strip, "mount:/data", "env:KEY"), gone: []string{"env:KEY", "mount:/data"}},
		"one, denied by another": {judge: both(mounts, objectsWhileThere(engine.Deny, "env:KEY")),
			reasons: []string{"p: may not add env KEY (plugin 10-a, env KEY)", about}},
		"one, failed by another":   {judge: both(mounts, fails(engine.Failure{Policy: "q", Message: "boom"})), reasons: []string{"q: could not decide: boom", about}},
		"impossible":               {judge: mounts, strip: refuses, reasons: []string{"the changes objected to could not be taken out: cannot", about}},
		"nothing remained":         {judge: mounts, strip: gone, reasons: []string{"the changes objected to could not be taken out: nothing remained", about}},
		"left as it was":           {judge: mounts, strip: same, reasons: []string{about, strings.Replace(about, ") (plugin", ") (after stripping) (plugin", 1)}},
		"malformed afterwards":     {judge: mounts, strip: spoils, reasons: []string{"malformed request after stripping: half of it", about}},
		"a panic":                  {judge: mounts, strip: explodes, reasons: []string{"panic: bang in", about}},
		"another objects then":     {judge: both(mounts, needsMount), reasons: []string{"needs: no mount (after stripping)", about}},
		"another fails then":       {judge: both(mounts, failsWithoutMount), reasons: []string{"needs: could not decide: boom", about}},
		"another audits then":      {judge: both(mounts, audits(needsMount)), gone: []string{"mount:/data"}},
		"another would strip then": {judge: both(mounts, strips(needsMount)), reasons: []string{"needs: no mount (after stripping)", about}},
	} {
		t.Run(name, func(t *testing.T) {
			r := review()
			before := all(r)
			if tt.strip != nil {
				r.Strip = tt.strip
			}
			d := engine.New(engine.Rules{Policies: tt.judge}).Decide(t.Context(), r)
			if d.Allowed {
				if len(tt.reasons) > 0 {
					t.Errorf("allowed, want %q", tt.reasons)
				}
			} else {
				wantReasons(t, d, tt.reasons)
			}
			var gone []string
			for _, c := range d.Stripped {
				gone = append(gone, c.ID)
			}
			if !slices.Equal(gone, tt.gone) {
				t.Errorf("stripped %v, want %v", gone, tt.gone)
			}
			if d.Allowed && len(d.Approved.Changes) != len(before)-len(tt.gone) {
				t.Errorf("approved %v", all(d.Approved))
			}
			if !slices.Equal(all(r), before) {
				t.Errorf("the review was changed to %v", all(r))
			}
		})
	}
}

func enforced(j judge, e engine.Enforcement) judge {
	return func(ctx context.Context, r *engine.Review) engine.Verdict {
		v := j(ctx, r)
		for i := range v.Violations {
			v.Violations[i].Enforcement = e
		}
		return v
	}
}

func audits(j judge) judge { return enforced(j, engine.Audit) }
func strips(j judge) judge { return enforced(j, engine.Strip) }

// What remains after stripping is marked and judged anew.
func TestStripMarksAgain(t *testing.T) {
	granted := map[string]bool{}
	j := judge(func(ctx context.Context, r *engine.Review) engine.Verdict {
		for _, c := range r.Changes {
			granted[c.ID] = c.Granted
		}
		return objectsWhileThere(engine.Strip, "env:KEY")(ctx, r)
	})
	r := review()
	r.Strip = func(r *engine.Review, _ []string) (*engine.Review, error) {
		c := *r.Changes[1]
		c.Granted = false
		return &engine.Review{Pod: r.Pod, Container: r.Container, Changes: []*engine.Change{&c}}, nil
	}
	grant := engine.Grant{Plugin: "b", Field: engine.MountPoint, Keys: []string{"/data"}, Types: []string{"bind"}, Sources: []string{"/"}}
	d := engine.New(engine.Rules{Policies: j, Grants: []engine.Grant{grant}}).Decide(t.Context(), r)
	if !d.Allowed || !granted["mount:/data"] || granted["env:KEY"] {
		t.Errorf("allowed %v, granted %v", d.Allowed, granted)
	}
}

func TestExemptions(t *testing.T) {
	const (
		own, foreign, unknown = "mount:/data", "resource:cpu.shares@c1", "resource:cpu.shares@c2"
	)
	everywhere := engine.Exemption{Policy: "p", Namespaces: []string{"*"}}
	shop := engine.Exemption{Policy: "p", Namespaces: []string{"sh*"}}
	system := engine.Exemption{Policy: "p", Namespaces: []string{"kube-system"}}
	for name, tt := range map[string]struct {
		exemptions []engine.Exemption
		change     string
		only       []int // changes that the review has; all of them when nil
		want       string
	}{
		"its own namespace":                   {exemptions: []engine.Exemption{shop}, change: own, want: "shop"},
		"another namespace":                   {exemptions: []engine.Exemption{system}, change: own},
		"the other container's":               {exemptions: []engine.Exemption{system}, change: foreign, want: "kube-system"},
		"not the other container's":           {exemptions: []engine.Exemption{shop}, change: foreign},
		"a container that nobody knows":       {exemptions: []engine.Exemption{everywhere}, change: unknown},
		"another policy":                      {exemptions: []engine.Exemption{{Policy: "q", Namespaces: []string{"*"}}}, change: own},
		"no namespace at all":                 {exemptions: []engine.Exemption{{Policy: "p"}}, change: own},
		"the whole review, partly":            {exemptions: []engine.Exemption{shop}, only: []int{0, 1, 2}},
		"the whole review, one unknown":       {exemptions: []engine.Exemption{everywhere}},
		"the whole review":                    {exemptions: []engine.Exemption{shop}, only: []int{0, 1}, want: "shop"},
		"the whole review, without a change":  {exemptions: []engine.Exemption{shop}, only: []int{}, want: "shop"},
		"the whole review, by two exemptions": {exemptions: []engine.Exemption{shop, system}, only: []int{0, 1, 2}},
	} {
		for kind, j := range map[string]judge{
			"violation": objects(engine.Violation{Policy: "p", Message: "no " + secret, Change: tt.change}),
			"failure":   fails(engine.Failure{Policy: "p", Message: "no " + secret}),
		} {
			if kind == "failure" && tt.change != "" {
				continue // a failure is about all of the review
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				r := review()
				if tt.only != nil {
					all := r.Changes
					r.Changes = nil
					for _, i := range tt.only {
						r.Changes = append(r.Changes, all[i])
					}
				}
				d := engine.New(engine.Rules{Policies: j, Exemptions: tt.exemptions}).Decide(t.Context(), r)
				var want []engine.Exempted
				if tt.want != "" {
					want = []engine.Exempted{{Policy: "p", Namespace: tt.want, Message: "no ***"}}
				}
				if diff := cmp.Diff(want, d.Exempted); diff != "" || d.Allowed != (tt.want != "") {
					t.Errorf("allowed %v, exempted (-want +got)\n%s", d.Allowed, diff)
				}
			})
		}
	}
}

// A failure that is no policy's cannot be exempted, and neither can a bad request.
func TestExemptionsLiftPoliciesOnly(t *testing.T) {
	r := review()
	r.Malformed = []string{"nonsense"}
	e := engine.New(engine.Rules{Policies: fails(engine.Failure{Message: "broken"}),
		Exemptions: []engine.Exemption{{Namespaces: []string{"*"}}}})
	wantReasons(t, e.Decide(t.Context(), r), []string{"broken", "malformed request: nonsense"})
}

// What is exempted before and after stripping is recorded once.
func TestExemptedOnce(t *testing.T) {
	j := judge(func(ctx context.Context, r *engine.Review) engine.Verdict {
		v := objectsWhileThere(engine.Strip, "env:KEY")(ctx, r)
		v.Violations = append(v.Violations, engine.Violation{Policy: "q", Message: "no", Change: "mount:/data"})
		return v
	})
	e := engine.New(engine.Rules{Policies: j, Exemptions: []engine.Exemption{{Policy: "q", Namespaces: []string{"shop"}}}})
	d := e.Decide(t.Context(), review())
	if !d.Allowed || len(d.Stripped) != 1 || len(d.Exempted) != 1 {
		t.Errorf("allowed %v, stripped %v, exempted %v", d.Allowed, d.Stripped, d.Exempted)
	}
}

// Costs are summed over both judgements, in the order of the policies.
func TestCosts(t *testing.T) {
	j := judge(func(ctx context.Context, r *engine.Review) engine.Verdict {
		v := objectsWhileThere(engine.Strip, "env:KEY")(ctx, r)
		v.Costs = []engine.Cost{{Policy: "q", Fuel: 10}, {Policy: "p", Fuel: uint64(len(r.Changes))}}
		return v
	})
	r := review()
	n := uint64(len(r.Changes))
	d := engine.New(engine.Rules{Policies: j}).Decide(t.Context(), r)
	want := []engine.Cost{{Policy: "p", Fuel: 2*n - 1}, {Policy: "q", Fuel: 20}}
	if diff := cmp.Diff(want, d.Costs); diff != "" || len(d.Stripped) != 1 {
		t.Errorf("stripped %v, costs (-want +got)\n%s", d.Stripped, diff)
	}
}

func TestMessagesAreMasked(t *testing.T) {
	r := review()
	r.Changes = append(r.Changes, &engine.Change{ID: "hook", Op: engine.Add, Field: engine.OCIHook, Container: "c0",
		Value: &engine.Hook{Path: "/h", Env: []string{"PASS=hookhook"}}})
	message := "TOKEN is " + secret + ", KEY is new " + secret + ", PASS is hookhook, SHORT is 1"
	say := engine.Verdict{
		Violations: []engine.Violation{{Policy: "p", Message: message}},
		Warnings:   []engine.Violation{{Policy: "p", Message: message}},
		Failures:   []engine.Failure{{Policy: "p", Message: message}},
	}
	for _, tt := range []struct {
		unmask []string
		want   string
	}{
		{nil, "TOKEN is ***, KEY is ***, PASS is ***, SHORT is 1"},
		{[]string{"K*"}, "TOKEN is ***, KEY is new ***, PASS is ***, SHORT is 1"},
		{[]string{"TOKEN"}, "TOKEN is " + secret + ", KEY is ***, PASS is ***, SHORT is 1"},
		{[]string{"*"}, message},
		{[]string{"["}, "TOKEN is ***, KEY is ***, PASS is ***, SHORT is 1"},
	} {
		d := engine.New(engine.Rules{Policies: says(say), Unmask: tt.unmask}).Decide(t.Context(), r)
		for kind, got := range map[string]string{
			"violation": d.Violations[0].Message, "warning": d.Warnings[0].Message, "failure": d.Failures[0].Message,
		} {
			if got != tt.want {
				t.Errorf("unmasked %q, a %s says %q, want %q", tt.unmask, kind, got, tt.want)
			}
		}
	}
}

// Values are found as a policy's %q writes them, and where a hook's environment has
// them without a name.
func TestQuotedValuesAreMasked(t *testing.T) {
	r := review()
	r.Changes = append(r.Changes,
		&engine.Change{ID: "hook", Op: engine.Add, Field: engine.OCIHook, Value: &engine.Hook{Env: []string{"nameless"}}},
		&engine.Change{ID: "x", Op: engine.Add, Field: engine.Env, Key: "X", Value: `a "b" c`})
	say := engine.Verdict{Violations: []engine.Violation{{Policy: "p", Message: fmt.Sprintf("it is %q, nameless", `a "b" c`)}}}
	d := engine.New(engine.Rules{Policies: says(say)}).Decide(t.Context(), r)
	if got, want := d.Violations[0].Message, `it is "***", ***`; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// A path stays readable in what is said about it, also when it is the value of a
// variable; in what is said about anything else it is masked.
func TestMaskedPathsOfTheChange(t *testing.T) {
	r := review()
	r.Container = &api.Container{Env: []string{"MODELS=/opt/models"}}
	mount := &engine.Change{ID: "mount", Op: engine.Add, Field: engine.MountPoint, Key: "/m", Value: &engine.Mount{Type: "bind", Source: "/opt/models"}}
	env := &engine.Change{ID: "env", Op: engine.Add, Field: engine.Env, Key: "X", Value: "/opt/models"}
	r.Changes = append(r.Changes, mount, env)
	say := engine.Verdict{Violations: []engine.Violation{
		{Policy: "a", Change: "mount", Message: "/opt/models is not for you"},
		{Policy: "b", Change: "env", Message: "X is /opt/models"},
		{Policy: "c", Message: "MODELS is /opt/models"},
	}}
	d := engine.New(engine.Rules{Policies: says(say)}).Decide(t.Context(), r)
	for i, want := range []string{"/opt/models is not for you", "X is ***", "MODELS is ***"} {
		if got := d.Violations[i].Message; got != want {
			t.Errorf("message %q, want %q", got, want)
		}
	}
}

// The message that the engine writes for a change of the environment has no value.
func TestOwnMessagesHaveNoValues(t *testing.T) {
	r := review()
	r.Changes[0].Value = "abc" // too short for the mask
	d := engine.New(engine.Rules{Policies: objects(engine.Violation{Policy: "p", Change: "env:KEY"})}).Decide(t.Context(), r)
	wantReasons(t, d, []string{"p: may not add env KEY (plugin 10-a, env KEY)"})
}

// A decision ends with the rules that it began with.
func TestSwap(t *testing.T) {
	e := &engine.Engine{}
	e.Swap(engine.Rules{Policies: judge(func(context.Context, *engine.Review) (v engine.Verdict) {
		e.Swap(engine.Rules{})
		return v
	})})
	if d := e.Decide(t.Context(), review()); !d.Allowed || d.Revision != "r1" {
		t.Errorf("allowed %v by %q: %v", d.Allowed, d.Revision, d.Reasons())
	}
	wantReasons(t, e.Decide(t.Context(), review()), []string{"no policies are loaded"})
}

func TestEnforcementText(t *testing.T) {
	for _, e := range []engine.Enforcement{engine.Deny, engine.Strip, engine.Audit, engine.Off} {
		text, err := e.MarshalText()
		var back engine.Enforcement = 9
		if err != nil || back.UnmarshalText(text) != nil || back != e {
			t.Errorf("%v is written as %q and read as %v", e, text, back)
		}
	}
	var e engine.Enforcement
	if err := e.UnmarshalText([]byte("Deny")); err == nil || err.Error() != `enforcement "Deny" is none of deny, strip, audit, off` {
		t.Errorf("got %v", err)
	}
	if s := engine.Enforcement(7).String(); s != "Enforcement(7)" {
		t.Errorf("got %s", s)
	}
}
