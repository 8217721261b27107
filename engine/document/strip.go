package document

import (
	"fmt"
	"slices"

	"github.com/nri-guard/nri-guard/engine"
)

// strip takes changes out of a review that was read from a document. All changes
// of one key go together: half of a replacement is another change than the one
// that was asked for. Hooks and device rules are lists, of which one goes; but the
// rule that the runtime adds for a device and the device go together.
func strip(r *engine.Review, ids []string) (*engine.Review, error) {
	gone := make(map[*engine.Change]struct{})
	for _, id := range ids {
		c := r.Change(id)
		if c == nil {
			return nil, fmt.Errorf("there is no change %q", id)
		}
		takeOut(r, c, gone)
	}
	rest := *r
	rest.Changes = nil
	for _, c := range r.Changes {
		if _, ok := gone[c]; !ok {
			kept := *c
			rest.Changes = append(rest.Changes, &kept)
		}
	}
	return &rest, nil
}

// takeOut adds a change and all that goes with it.
func takeOut(r *engine.Review, c *engine.Change, gone map[*engine.Change]struct{}) {
	if _, ok := gone[c]; ok {
		return
	}
	gone[c] = struct{}{}
	for _, other := range r.Changes {
		if other.Container == c.Container && (sameKey(c, other) || implies(c, other) || implies(other, c)) {
			takeOut(r, other, gone)
		}
	}
}

func sameKey(a, b *engine.Change) bool {
	lists := []engine.Field{engine.OCIHook, engine.DeviceCgroup}
	return a.Field == b.Field && a.Key == b.Key && !slices.Contains(lists, a.Field)
}

func implies(device, rule *engine.Change) bool {
	return device.Field == engine.DeviceNode && rule.Field == engine.DeviceCgroup &&
		rule.ImpliedBy != "" && rule.ImpliedBy == device.Key
}
