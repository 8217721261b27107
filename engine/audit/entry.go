package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// entry is a line of the log.
type entry struct {
	// The names of OPA's decision log.
	Labels    map[string]string `json:"labels"`
	ID        string            `json:"decision_id"`
	Timestamp time.Time         `json:"timestamp"` // when the request was received
	Revision  string            `json:"revision"`
	Input     json.RawMessage   `json:"input"`
	Result    Result            `json:"result"`
	Masked    []string          `json:"masked,omitempty"` // JSON pointers into the line
	Metrics   metrics           `json:"metrics"`
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

// line returns the line for a decision, newline included.
func (c *Config) line(r *engine.Review, d *engine.Decision) ([]byte, error) {
	input, err := document.Marshal(r, document.Options{Mask: true, Unmask: c.Unmask})
	if err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	result, err := NewResult(d, c.Unmask)
	if err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	e := entry{
		Labels:    c.Labels,
		ID:        d.ID,
		Timestamp: d.Time,
		Revision:  d.Revision,
		Input:     input,
		Result:    result,
		Masked:    c.masked(r),
		Metrics:   metrics{Decision: d.Duration.Nanoseconds()},
		Operation: r.Operation,
		Plugin:    r.Plugin.String(),
		Plugins:   []string{},
		Granted:   []string{},
		Malformed: r.Malformed,
	}
	if e.Labels == nil {
		e.Labels = map[string]string{}
	}
	for _, p := range r.Plugins {
		e.Plugins = append(e.Plugins, p.String())
	}
	for _, change := range r.Changes {
		if change.Granted {
			e.Granted = append(e.Granted, change.ID)
		}
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	return line.Bytes(), nil
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
