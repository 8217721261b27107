package rego

import (
	"fmt"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// TestConstants: what depends on data alone is found once for all reviews, and holds nothing
// of the review that it was found for, such as a value that a function
// was given there and gave back.
func TestConstants(t *testing.T) {
	for name, module := range map[string]string{
		"a string":          "constant := same(\"/etc\")\n\nfound(key) if same(key) == constant",
		"a string in a set": "constant contains same(\"/etc\")\n\nfound(key) if same(key) in constant",
		"an element":        "constant := first([\"/etc\", 1])\n\nfound(key) if first([key, 1]) == constant\n\nfirst(list) := list[0]",
		"a list":            "constant := same([\"/etc\"])\n\nfound(key) if same([key]) == constant",
		"by another function": "constant := other(\"/etc\")\n\nother(x) := same(x)\n\n" +
			"found(key) if same(key) == constant",
		"a pattern":          "constant := x if [x, _] = same([\"/etc\", 1])\n\nfound(key) if same([key, 1])[0] == constant",
		"in a comprehension": "constant := {same(x) | some x in [\"/etc\"]}\n\nfound(key) if {same(key)} == constant",
		"in an else":         "constant := 1 if false\n\nelse := same(\"/etc\")\n\nfound(key) if same(key) == constant",
		"of a comprehension": "constant := [y | some x in [\"/etc\"]; y := same(x)]\n\nfound(key) if [same(key)] == constant",
	} {
		t.Run(name, func(t *testing.T) {
			p := compiled(t, module+"\n\nsame(x) := x\n\ndeny contains {\"change\": c.id} if {\n\tsome c in input.changes.mount\n\tfound(c.key)\n}\n")
			denied := map[string]int{}
			for _, key := range []string{"/etc", "/usr", "/etc", "/usr", "/etc/"} {
				r := mounted(key)
				agree(t, p, r)
				denied[key] += len(newJudge(t, p).Judge(t.Context(), r).Violations)
			}
			if got, want := fmt.Sprint(denied), "map[/etc:2 /etc/:0 /usr:0]"; got != want {
				t.Errorf("denied are %s, want %s", got, want)
			}
		})
	}
}

// TestConstantSpelling: however a plugin spells a number, a policy's own is spelled as it was
// written. (The interpreter takes what the function gave for either.)
func TestConstantSpelling(t *testing.T) {
	j := newJudge(t, compiled(t, `deny contains {"change": c.id} if {
	some c in input.changes.mount
	same(to_number(c.key)) == 1
	constant == "1"
}

constant := json.marshal(same(1))

same(x) := x
`))
	for _, key := range []string{"1.0", "1", "1e0"} {
		if v := j.Judge(t.Context(), mounted(key)); len(v.Violations) != 1 {
			t.Errorf("%s: %+v", key, v)
		}
	}
}

// mounted is a review with one mount.
func mounted(at string) *engine.Review {
	return &engine.Review{Pod: &api.PodSandbox{}, Container: &api.Container{}, Changes: []*engine.Change{
		{ID: "m", Op: engine.Add, Field: engine.MountPoint, Key: at, Value: &engine.Mount{}}}}
}
