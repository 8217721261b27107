package engine

import (
	"cmp"
	"slices"
)

// Exemption takes a policy out of force for some namespaces.
type Exemption struct {
	Policy string
	// Namespaces are patterns, as of [path.Match], for the namespaces of pods.
	Namespaces []string
}

// exempt says whether an exemption lifts what a policy said, and records it. An
// objection to one change is lifted where that change's container is; one to the
// whole review only where all of it is exempt.
func (rules *Rules) exempt(d *Decision, r *Review, policy, change, message string) bool {
	if policy == "" {
		return false
	}
	for _, e := range rules.Exemptions {
		if e.Policy != policy || !e.reaches(r, change) {
			continue
		}
		lifted := Exempted{Policy: policy, Namespace: r.namespace(change), Message: message}
		if slices.Contains(d.Exempted, lifted) {
			return true // said again of what remained after stripping
		}
		d.Exempted = append(d.Exempted, lifted)
		slices.SortFunc(d.Exempted, func(a, b Exempted) int {
			return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Message, b.Message))
		})
		return true
	}
	return false
}

// namespace is that of the pod that a change is about, or of the review's.
func (r *Review) namespace(change string) string {
	if c := r.Change(change); c != nil {
		return c.Pod.GetNamespace()
	}
	return r.Pod.GetNamespace()
}

func (e *Exemption) reaches(r *Review, change string) bool {
	if len(e.Namespaces) == 0 {
		return false
	}
	if c := r.Change(change); c != nil {
		return inNamespaces(e.Namespaces, c)
	}
	for _, c := range r.Changes {
		if !inNamespaces(e.Namespaces, c) {
			return false
		}
	}
	return r.Pod != nil && matchAny(e.Namespaces, r.Pod.GetNamespace())
}
