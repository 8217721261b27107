package audit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// maxLine is how long a line may be. Those of creations have some kilobytes; plugins
// that could write lines of any length could push all others out of the log.
const maxLine = 4 << 20

// errTooLong keeps a decision from being recorded as a whole.
var errTooLong = fmt.Errorf("decision log: its line would have more than %d MiB, which denies unless bestEffort is set", maxLine>>20)

// form is how the lines of a log are written. A line is one object: keys of OPA's
// decision log first, among them the input and a [Result], then names of ours for what
// is looked for most often.
type form struct {
	begin  string // of each line, with the labels
	unmask []string
}

// newForm returns the form that a configuration asks for, once it is checked.
func newForm(c Config) (form, error) {
	if err := c.Check(); err != nil {
		return form{}, fmt.Errorf("decision log: %w", err)
	}
	labels := c.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	l := &line{}
	l.raw(`{"labels":`)
	l.json(labels)
	return form{begin: string(l.buf), unmask: c.Unmask}, nil
}

// outline writes the line that takes the place of one that is too long: who asked for
// something and why it was denied, but not what was asked for.
func (f *form) outline(l *line, r *engine.Review, d *engine.Decision) error {
	short := &engine.Review{
		Version: r.Version, Operation: r.Operation, Runtime: r.Runtime, Plugin: r.Plugin, Plugins: r.Plugins,
		Malformed: []string{"this is not all that was asked for: " + errTooLong.Error()},
	}
	if p := r.Pod; p != nil {
		short.Pod = &api.PodSandbox{Id: p.GetId(), Name: p.GetName(), Uid: p.GetUid(), Namespace: p.GetNamespace()}
	}
	if x := r.Container; x != nil {
		short.Container = &api.Container{Id: x.GetId(), PodSandboxId: x.GetPodSandboxId(), Name: x.GetName()}
	}
	denied := &engine.Decision{
		ID: d.ID, Time: d.Time, Revision: d.Revision, Duration: d.Duration, Costs: d.Costs,
		Failures: []engine.Failure{{Message: errTooLong.Error()}},
	}
	for _, reason := range d.Reasons() {
		denied.Failures = append(denied.Failures, engine.Failure{Message: reason})
	}
	return f.line(l, short, denied)
}

// line writes the line for a decision, newline included.
func (f *form) line(l *line, r *engine.Review, d *engine.Decision) error {
	l.buf, l.err = append(l.buf[:0], f.begin...), nil
	l.raw(`,"decision_id":`)
	l.text(d.ID)
	l.raw(`,"timestamp":`) // when the request was received
	l.time(d.Time)
	l.raw(`,"revision":`)
	l.text(d.Revision)
	l.raw(`,"input":`)
	l.add(document.Append(l.buf, r, f.options(l)))
	if l.err == nil {
		f.end(l, r, d)
	}
	switch {
	case errors.Is(l.err, document.ErrTooLong) || l.err == nil && len(l.buf) > maxLine:
		return errTooLong
	case l.err != nil:
		return fmt.Errorf("decision log: %w", l.err)
	}
	return nil
}

// options says how what is reviewed is written, as long as there is room for it.
func (f *form) options(l *line) document.Options {
	return document.Options{Mask: true, Unmask: f.unmask, Most: max(maxLine-len(l.buf), 1)}
}

// end writes what comes after the input.
func (f *form) end(l *line, r *engine.Review, d *engine.Decision) {
	l.raw(`,"result":`)
	f.result(l, d)
	f.metrics(l, r, d)
	f.ours(l, r)
	l.raw("}\n")
}

// result writes what [NewResult] returns.
func (f *form) result(l *line, d *engine.Decision) {
	l.raw(`{"allowed":`)
	l.buf = strconv.AppendBool(l.buf, d.Allowed)
	listed(l, `,"violations":`, d.Violations)
	listed(l, `,"warnings":`, d.Warnings)
	listed(l, `,"failures":`, d.Failures)
	l.raw(`,"stripped":[`)
	for _, c := range d.Stripped {
		l.next()
		l.add(document.AppendChange(l.buf, c, f.options(l)))
		if l.err != nil {
			return
		}
	}
	l.raw("]")
	listed(l, `,"exempted":`, d.Exempted)
	if len(d.Costs) > 0 {
		listed(l, `,"costs":`, d.Costs)
	}
	l.raw(`,"revision":`)
	l.text(d.Revision)
	l.raw("}")
}

func (f *form) metrics(l *line, r *engine.Review, d *engine.Decision) {
	if parts := f.masked(r); len(parts) > 0 {
		l.raw(`,"masked":`) // JSON pointers into the line
		l.texts(parts)
	}
	l.raw(`,"metrics":{"timer_decision_ns":`)
	l.buf = strconv.AppendInt(l.buf, d.Duration.Nanoseconds(), 10)
	l.raw("}")
}

func (f *form) ours(l *line, r *engine.Review) {
	l.raw(`,"operation":`)
	l.text(string(r.Operation))
	l.raw(`,"plugin":`) // the one judged; empty where the adjustment is merged
	l.text(r.Plugin.String())
	l.raw(`,"plugins":[`) // those consulted
	for _, p := range r.Plugins {
		l.next()
		l.text(p.String())
	}
	l.raw(`],"granted":[`) // changes that a grant let through
	for _, c := range r.Changes {
		if c.Granted {
			l.next()
			l.text(c.ID)
		}
	}
	l.raw("]")
	if len(r.Malformed) > 0 { // the document has no place for it
		l.raw(`,"malformed":`)
		l.texts(r.Malformed)
	}
}

// masked names the parts of the input in which a value of an environment variable
// is masked, in alphabetical order.
func (f *form) masked(r *engine.Review) []string {
	var env, hook bool
	for _, c := range r.Changes {
		env = env || c.Field == engine.Env && !engine.Unmasked(f.unmask, c.Key)
		hook = hook || f.hidesHook(c.Value) || f.hidesHook(c.Old)
	}
	hooks := r.Container.GetHooks()
	inHooks := false
	for _, stage := range [...][]*api.Hook{hooks.GetPrestart(), hooks.GetCreateRuntime(), hooks.GetCreateContainer(),
		hooks.GetStartContainer(), hooks.GetPoststart(), hooks.GetPoststop()} {
		inHooks = inHooks || slices.ContainsFunc(stage, func(h *api.Hook) bool { return f.hides(h.GetEnv()) })
	}
	parts := make([]string, 0, 4)
	for _, part := range [...]struct {
		name string
		is   bool
	}{
		{"/input/changes/env", env},
		{"/input/changes/hook", hook},
		{"/input/container/env", f.hides(r.Container.GetEnv())},
		{"/input/container/hooks", inHooks},
	} {
		if part.is {
			parts = append(parts, part.name)
		}
	}
	return parts
}

func (f *form) hidesHook(value any) bool {
	h, ok := value.(*engine.Hook)
	return ok && h != nil && f.hides(h.Env)
}

// hides says whether a list of NAME=value has a value that is masked.
func (f *form) hides(env []string) bool {
	return slices.ContainsFunc(env, func(entry string) bool {
		name, _, ok := strings.Cut(entry, "=")
		return ok && !engine.Unmasked(f.unmask, name)
	})
}
