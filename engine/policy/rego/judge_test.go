package rego_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

// review builds a review with the named changes, FIELD:KEY each.
func review(changes ...string) *engine.Review {
	r := &engine.Review{
		Version: engine.Version, Operation: engine.CreateContainer,
		Runtime:   engine.Runtime{Name: "containerd", Version: "2.2.0"},
		Plugins:   []engine.Plugin{{Name: "injector", Index: "10"}},
		Pod:       &api.PodSandbox{Id: "p", Name: "pod", Namespace: "default", Labels: map[string]string{"app": "web"}},
		Container: &api.Container{Id: "c", PodSandboxId: "p", Name: "container", Env: []string{"A=b"}},
	}
	for _, id := range changes {
		field, key, _ := strings.Cut(id, ":")
		c := &engine.Change{ID: id, Op: engine.Add, Field: engine.Field(field), Key: key, Owners: r.Plugins,
			Plugin: r.Plugins[0], Container: "c", Pod: r.Pod}
		switch c.Field {
		case engine.MountPoint:
			c.Value = &engine.Mount{Type: "bind", Source: "/srv" + key, ResolvedSource: "/srv" + key, Options: []string{"rbind"}}
		case engine.OCIHook:
			c.Value = &engine.Hook{Path: "/bin/hook", Args: []string{"hook"}}
		case engine.Env, engine.Annotation, engine.Sysctl:
			c.Value = "value of " + key
		case engine.Resource:
			c.Value = int64(7)
		}
		r.Changes = append(r.Changes, c)
	}
	slices.SortFunc(r.Changes, func(a, b *engine.Change) int { return strings.Compare(a.ID, b.ID) })
	return r
}

// TestJudge asks the policies of each archive in testdata/judge about a review
// with the changes on the comment's line "changes:". The file want holds the
// verdict.
func TestJudge(t *testing.T) {
	each(t, "judge", func(t *testing.T, archive *txtar.Archive) string {
		j := judge(t, unpack(t, archive), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		list, _ := setting(archive, "changes")
		r := review(strings.Fields(list)...)
		first := verdict(j.Judge(ctx, r))
		if second := verdict(j.Judge(ctx, r)); second != first {
			t.Errorf("the same review twice:\n%s\nthen:\n%s", first, second)
		}
		return first
	})
}

func judge(tb testing.TB, s rego.Sources, enforcement map[string]engine.Enforcement) *rego.Judge {
	tb.Helper()
	p, err := rego.Load(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	j, err := p.Judge(enforcement)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

// write writes modules as policies in directories of their own, named in order
// p0, p1, ..., and returns them as sources.
func write(tb testing.TB, bodies ...string) rego.Sources {
	tb.Helper()
	dir := tb.TempDir()
	for i, body := range bodies {
		name := fmt.Sprintf("p%d", i)
		if err := os.MkdirAll(dir+"/"+name, 0o755); err != nil {
			tb.Fatal(err)
		}
		text := "package nri.policies." + name + "\n\n" + body
		if err := os.WriteFile(dir+"/"+name+"/"+name+".rego", []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return rego.Sources{Paths: []string{dir}}
}

func verdict(v engine.Verdict) string {
	var lines []string
	for _, x := range v.Violations {
		lines = append(lines, fmt.Sprintf("%s %s: %q about %q\n", x.Enforcement, x.Policy, x.Message, x.Change))
	}
	for _, x := range v.Warnings {
		lines = append(lines, fmt.Sprintf("warning %s: %q about %q\n", x.Policy, x.Message, x.Change))
	}
	for _, f := range v.Failures {
		lines = append(lines, fmt.Sprintf("failure %s %s: %s\n", f.Enforcement, f.Policy, f.Message))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// endless takes far longer than any deadline here.
const endless = `deny contains "no" if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	i * j == 0
}
`

// stuck makes two values of two to the power of 26 strings, which costs nothing, and
// compares them, which is one step and does not look whether it has been cancelled.
func stuck() string {
	var b strings.Builder
	b.WriteString("deny contains \"no\" if {\n\ta0 := [\"a\"]\n\tb0 := [\"a\"]\n")
	for i := range 26 {
		fmt.Fprintf(&b, "\ta%d := array.concat([a%d], [a%d])\n\tb%d := array.concat([b%d], [b%d])\n", i+1, i, i, i+1, i, i)
	}
	b.WriteString("\ta26 in {b26}\n}\n")
	return b.String()
}

// TestDeadline: a verdict is there by the deadline, it names the policy that was
// late and no other, and nothing goes on running.
func TestDeadline(t *testing.T) {
	const deadline = 1500 * time.Millisecond
	fine := "deny contains {\"change\": c.id} if some c in input.changes.mount\n"
	tests := []struct {
		name   string
		bodies []string
		want   string
	}{
		{"alone", []string{endless}, "failure deny p0: it had no answer in time\n"},
		{"first", []string{endless, fine}, "deny p1: \"\" about \"mount:/data\"\nfailure deny p0: it had no answer in time\n"},
		{"last", []string{fine, endless}, "deny p0: \"\" about \"mount:/data\"\nfailure deny p1: it had no answer in time\n"},
		{"all", []string{endless, endless, endless}, "failure deny p0: it had no answer in time\n" +
			"failure deny p1: it had no answer in time\nfailure deny p2: it had no answer in time\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := judge(t, write(t, tt.bodies...), nil)
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			start := time.Now()
			got := verdict(j.Judge(ctx, review("mount:/data")))
			if took := time.Since(start); took > deadline+time.Second {
				t.Errorf("took %v", took)
			}
			if got != tt.want {
				t.Errorf("got:\n%swant:\n%s", got, tt.want)
			}
			goroutinesEnd(t, before)
		})
	}
}

func goroutinesEnd(t *testing.T, before int) {
	t.Helper()
	for range 6000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// TestDeadlineAudit: a policy that is only audited does not take the others' time.
func TestDeadlineAudit(t *testing.T) {
	fine := "deny contains {\"change\": c.id} if some c in input.changes.mount\n"
	j := judge(t, write(t, fine, endless, endless), map[string]engine.Enforcement{"p1": engine.Audit, "p2": engine.Audit})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	got := verdict(j.Judge(ctx, review("mount:/data")))
	want := "deny p0: \"\" about \"mount:/data\"\nfailure audit p1: it had no answer in time\nfailure audit p2: it had no answer in time\n"
	if got != want || ctx.Err() != nil {
		t.Errorf("with %v got:\n%swant:\n%s", ctx.Err(), got, want)
	}
}

// TestStuck: a verdict is there by the deadline even where the evaluation does not
// look at its cancellation, which then ends by itself.
func TestStuck(t *testing.T) {
	j := judge(t, write(t, stuck()), nil)
	before := runtime.NumGoroutine()
	defer goroutinesEnd(t, before)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	got := verdict(j.Judge(ctx, review()))
	if took := time.Since(start); took > 400*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if want := "failure deny p0: it had no answer in time\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestLeftBehind: an evaluation that nobody waits for any more meets neither what becomes of
// its review nor the reviews of others. The race detector is the judge.
func TestLeftBehind(t *testing.T) {
	slow := judge(t, write(t, `deny contains "no" if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	some c in input.changes.mount
	[c.value.source, c.key] == [sprintf("%d", [i * j]), input.pod.name]
}
`), nil)
	quick := judge(t, write(t, "deny contains {\"change\": c.id, \"msg\": c.key} if some c in input.changes.mount\n"), nil)
	defer goroutinesEnd(t, runtime.NumGoroutine())
	for range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		r := review("mount:/data")
		if got, want := verdict(slow.Judge(ctx, r)), "failure deny p0: it had no answer in time\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		cancel()
		r.Changes[0].Value, r.Changes, r.Pod = nil, nil, nil
		if got, want := verdict(quick.Judge(t.Context(), review("mount:/fine"))), "deny p0: \"/fine\" about \"mount:/fine\"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
