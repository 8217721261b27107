package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// head is what a line of the log begins with. The names are those of OPA's decision
// log. The input, which is most of a line, comes between head and tail: it is JSON
// already, and encoding/json would read it through once more.
type head struct {
	Labels    map[string]string `json:"labels"`
	ID        string            `json:"decision_id"`
	Timestamp time.Time         `json:"timestamp"` // when the request was received
	Revision  string            `json:"revision"`
}

// tail is what a line ends with.
type tail struct {
	Result  Result   `json:"result"`
	Masked  []string `json:"masked,omitempty"` // JSON pointers into the line
	Metrics metrics  `json:"metrics"`
	// And names of ours, for what is looked for most often.
	Operation engine.Operation `json:"operation"`
	Plugin    string           `json:"plugin"`  // INDEX-NAME of the one judged; empty where the adjustment is merged
	Plugins   []string         `json:"plugins"` // INDEX-NAME of those consulted
	Granted   []string         `json:"granted"` // ids of the changes that a grant let through
	// Malformed is why no runtime could carry out the changes; the document has no
	// place for it.
	Malformed []string `json:"malformed,omitempty"`
}

type metrics struct {
	Decision int64 `json:"timer_decision_ns"`
}

// maxLine is how long a line may be. Those of creations have some kilobytes; plugins
// that could write lines of any length could push all others out of the log.
const maxLine = 4 << 20

// errTooLong keeps a decision from being recorded as a whole.
var errTooLong = fmt.Errorf("decision log: its line would have more than %d MiB, which denies unless bestEffort is set", maxLine>>20)

// outline returns the line that takes the place of one that is too long: who asked for
// something and why it was denied, but not what was asked for.
func (c *Config) outline(r *engine.Review, d *engine.Decision) ([]byte, error) {
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
	return c.line(short, denied)
}

// line returns the line for a decision, newline included.
func (c *Config) line(r *engine.Review, d *engine.Decision) ([]byte, error) {
	input, err := document.Marshal(r, document.Options{Mask: true, Unmask: c.Unmask, Most: maxLine})
	if errors.Is(err, document.ErrTooLong) {
		return nil, errTooLong
	}
	if err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	result, err := NewResult(d, c.Unmask)
	if err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	h := head{Labels: c.Labels, ID: d.ID, Timestamp: d.Time, Revision: d.Revision}
	if h.Labels == nil {
		h.Labels = map[string]string{}
	}
	line := bytes.NewBuffer(make([]byte, 0, len(input)+2048))
	encoder := json.NewEncoder(line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(h); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	line.Truncate(line.Len() - len("}\n"))
	line.WriteString(`,"input":`)
	line.Write(input)
	joint := line.Len()
	if err := encoder.Encode(c.tail(r, d, result)); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	line.Bytes()[joint] = ',' // where the tail's object begins
	if line.Len() > maxLine {
		return nil, errTooLong
	}
	return line.Bytes(), nil
}

func (c *Config) tail(r *engine.Review, d *engine.Decision, result Result) tail {
	t := tail{
		Result:    result,
		Masked:    c.masked(r),
		Metrics:   metrics{Decision: d.Duration.Nanoseconds()},
		Operation: r.Operation,
		Plugin:    r.Plugin.String(),
		Plugins:   []string{},
		Granted:   []string{},
		Malformed: r.Malformed,
	}
	for _, p := range r.Plugins {
		t.Plugins = append(t.Plugins, p.String())
	}
	for _, change := range r.Changes {
		if change.Granted {
			t.Granted = append(t.Granted, change.ID)
		}
	}
	return t
}

// masked names the parts of the input in which a value of an environment variable
// is masked.
func (c *Config) masked(r *engine.Review) []string {
	var parts []string
	if c.hides(r.Container.GetEnv()) {
		parts = append(parts, "/input/container/env")
	}
	hooks := r.Container.GetHooks()
	for _, h := range slices.Concat(hooks.GetPrestart(), hooks.GetCreateRuntime(), hooks.GetCreateContainer(),
		hooks.GetStartContainer(), hooks.GetPoststart(), hooks.GetPoststop()) {
		if c.hides(h.GetEnv()) {
			parts = append(parts, "/input/container/hooks")
		}
	}
	for _, change := range r.Changes {
		if change.Field == engine.Env && !engine.Unmasked(c.Unmask, change.Key) || c.hidesHook(change.Value) || c.hidesHook(change.Old) {
			parts = append(parts, "/input/changes/"+string(change.Field))
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

func (c *Config) hidesHook(value any) bool {
	h, ok := value.(*engine.Hook)
	return ok && h != nil && c.hides(h.Env)
}

// hides says whether a list of NAME=value has a value that is masked.
func (c *Config) hides(env []string) bool {
	return slices.ContainsFunc(env, func(entry string) bool {
		name, _, ok := strings.Cut(entry, "=")
		return ok && !engine.Unmasked(c.Unmask, name)
	})
}
