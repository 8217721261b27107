package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// checkRequired finds validators that a runtime would do without.
func checkRequired(n *node) []Finding {
	if n.Guard == nil || n.Guard.Validator == "" {
		return nil
	}
	return n.each(func(r *runtime) []Finding {
		if !n.guarded(r) {
			return nil
		}
		if _, ok := r.keys[required]; !ok {
			return n.cannotRequire(r)
		}
		return n.required(r)
	})
}

func (n *node) required(r *runtime) []Finding {
	name := n.Guard.Validator
	on, onAt, _ := r.boolOf(validator)
	names, namesAt := r.list(required)
	if on && slices.Contains(names, name) {
		return one(Finding{
			Severity: OK, Summary: fmt.Sprintf("it refuses to create containers without %q", name), Evidence: []string{onAt, namesAt}})
	}
	f := Finding{
		Severity: FailOpen, Summary: fmt.Sprintf("it does not require the plugin %q", name),
		Meaning:  "When the guard is down or was late once, containers are created unjudged.",
		Evidence: []string{onAt, namesAt},
		Fix: r.set("Have NRI's default validator require the guard",
			assignment{validator, true}, assignment{required, append(slices.Clone(names), name)}),
	}
	if slices.Contains(names, name) {
		f.Fix = r.set("Turn NRI's default validator on", assignment{validator, true})
	}
	if n.proxies() {
		f.Severity = Weak
		f.Meaning = "When the validator is down, nobody compares the merged result with what the proxy approved. The proxy itself holds."
	}
	return one(f)
}

// cannotRequire is about a runtime without NRI's default validator.
func (n *node) cannotRequire(r *runtime) []Finding {
	f := Finding{
		Severity: FailOpen, Summary: "it cannot require a validator",
		Meaning:  r.name + " has no default validator: when the guard is down or was late once, containers are created unjudged. No configuration changes that.",
		Evidence: []string{n.Guard.At("validator.enabled")},
		Fix:      n.toProxy(r, "Use the proxy, beside the validator or in its place"),
	}
	if n.proxies() {
		f.Severity, f.Fix = Weak, nil
		f.Meaning = "When the validator is down, nobody compares the merged result with what the proxy approved. The proxy itself holds."
	}
	return one(f)
}

// checkToleration finds an annotation with which pods do without required plugins.
func checkToleration(n *node) []Finding {
	if n.Guard == nil || n.Guard.Validator == "" {
		return nil
	}
	return n.each(func(r *runtime) []Finding {
		key, _, ok := r.key(toleration)
		s, given := r.settings[key]
		annotation, _ := s.value.(string)
		if !ok || !given || annotation == "" || !n.guarded(r) {
			return nil
		}
		f := Finding{
			Severity: FailOpen, Summary: fmt.Sprintf("pods may do without the guard by the annotation %q", annotation),
			Meaning: "Whoever writes a pod can set it, on the pod or, with a suffix, on one container. While the guard is down, that pod is created unjudged. " +
				"An admission policy can keep the annotation from pods, but not from static ones, and is not to be seen from here.",
			Evidence: []string{fmt.Sprintf("%s: %s = %q", s.at, r.called(toleration), annotation)},
			Fix:      r.set("Take the annotation away. A guard that runs as a pod needs it to start; as a systemd unit it does not", assignment{toleration, ""}),
		}
		if n.proxies() {
			f.Severity = Weak
			f.Meaning = strings.Replace(f.Meaning, "that pod is created unjudged", "that pod is judged by the proxy only", 1)
		}
		return one(f)
	})
}
