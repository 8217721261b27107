package rego

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// spellings are conditions about doc, a review, written as nobody would: keys that are
// numbers, lists and objects, parts as keys, in sets, compared, taken apart and passed on.
var spellings = []string{
	`doc.changes.mount[1e0]`, `doc.changes.mount[1.0]`, `doc.changes.mount["1"]`, `doc.changes.mount[-1]`, `doc.changes.mount[1.5]`,
	`doc.changes.mount[9999999999999999999999]`, `doc.changes.mount[doc.changes.mount]`, `doc.changes[["mount"]]`, `doc[0]`,
	`doc.changes.env["A#2"].value == "2"`, `doc.changes.env["\uFFFD"]`, `doc.changes.env["\uFFFD#2"]`, `doc.changes.env[""]`,
	"some k, c in doc.changes.env\n\tk != c.key", `object.keys(doc.changes.env) == {k | doc.changes.env[k]}`,
	`count(doc.changes.env) == count(object.keys(doc.changes.env))`, `{doc.changes.mount[0].value}[doc.changes.mount[0].value]`,
	`{doc.changes.mount[0].value: 1}[doc.changes.mount[0].value] == 1`, "keyed := {c.value: c.key | some c in doc.changes.mount}\n\tkeyed[doc.changes.mount[0].value]",
	`doc.changes.mount[0].value in [c.value | some c in doc.changes.mount]`, `doc.changes.mount[0].value < doc.changes.mount[1].value`,
	`doc.changes.mount[0] != doc.changes.mount[1]`, `[doc.changes.mount[0]] == [doc.changes.mount[0]]`, `doc.changes.mount == array.slice(doc.changes.mount, 0, 99)`,
	"{\"name\": n, \"index\": _} = doc.changes.mount[0].plugin\n\tn != \"\"", "[a] = doc.changes.mount[0].owners\n\ta.name", `[a, b] = doc.changes.mount[0].owners; a != b`,
	"x := doc.changes.mount[0].value\n\tx.options[_] == \"ro\"\n\tx == doc.changes.mount[0].value", `object.get(doc, ["changes", "mount", 0, "key"], "") != ""`,
	`json.unmarshal(json.marshal(doc)) == doc`, `doc == doc`, `sprintf("%v", [doc.changes.env]) != ""`, `walk(doc.changes, [["mount", 0, "value", "type"], "bind"])`,
	`count({f(c) | some c in doc.changes.env}) > 1`, `count({f(c) | some c in doc.changes.env; some _ in [1, 2]}) > 1`, `g(doc.changes.mount[0], doc.changes.mount[0])`,
	`g(doc.changes.mount[0], doc.changes.mount[1])`, `at[doc.changes.mount[0].value] == doc.changes.mount[0].key`, `held[doc.changes.mount[0]]`, `not held[doc.changes.mount]`,
	`every k, c in doc.changes.env { k == c.key }`, `doc.changes.mount[i].value == doc.changes.mount[j].value; i != j`,
	"same(doc) with input.changes.mount as doc.changes.env\n\tsame(doc)", `count(input.changes.mount) == 1 with input.changes.mount as [doc.changes.mount[1]]`,
	`{field | doc.changes[field]} == object.keys(doc.changes)`, `min(object.keys(doc.changes.env)) != ""`,
	`doc.changes.env & doc.changes.env == set()`,
	`strings.any_prefix_match(object.keys(doc.changes.env), object.keys(doc.changes.env))`, `strings.any_prefix_match("A", object.keys(doc.changes.env))`,
}

const spelt = `package nri.policies.%s

deny contains "held" if {
	doc := any(input)
	%s
}

# Of what comes out of a function types know nothing.
any(x) := x

f(c) := c.value

g(a, b) if a == b

at[c.value] := c.key if some c in any(input).changes.mount

held contains c if some c in any(input).changes.mount

same(x) if x.changes.mount == x.changes.env
`

// disordered are reviews whose changes are out of order, twice there, without a name or
// with names that are no text, and many.
func disordered() []*engine.Review {
	base := func() *engine.Review { return &engine.Review{Pod: &api.PodSandbox{}, Container: &api.Container{}} }
	env := func(r *engine.Review, names ...string) *engine.Review {
		for i, name := range names {
			r.Changes = append(r.Changes, &engine.Change{ID: fmt.Sprint("e", i), Op: engine.Add, Field: engine.Env, Key: name, Value: fmt.Sprint(i + 1)})
		}
		return r
	}
	mounts := func(r *engine.Review, n int) *engine.Review {
		for i := range n {
			r.Changes = append(r.Changes, &engine.Change{ID: fmt.Sprint("m", i), Op: engine.Add, Field: engine.MountPoint, Key: fmt.Sprint("/", i),
				Value: &engine.Mount{Type: "bind", Options: []string{"ro"}}, Plugin: engine.Plugin{Name: "p", Index: "10"}, Owners: make([]engine.Plugin, i)})
		}
		return r
	}
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprint("V", i*7919%300)
	}
	return []*engine.Review{
		env(mounts(base(), 3), "B", "A", "A", "A#2", "A#3", "", "\xff", "\xfe", "\xff", "\uFFFD", "\uFFFD#2"),
		mounts(env(base(), "\xff#2", "\xff", "z", "", ""), 2),
		env(mounts(base(), 40), many...),
		env(mounts(env(base(), "Z"), 2), "A"),
		base(),
	}
}

// TestSpellings: however a policy is written and a review is ordered, what is looked at
// part by part is what the interpreter is shown whole.
func TestSpellings(t *testing.T) {
	sources := fstest.MapFS{}
	for i, condition := range spellings {
		name := fmt.Sprintf("p%d", i)
		sources[name+"/p.rego"] = &fstest.MapFile{Data: fmt.Appendf(nil, spelt, name, condition)}
	}
	p := program(t, Sources{Library: sources})
	for i, r := range disordered() {
		t.Run(fmt.Sprint(i), func(t *testing.T) { agree(t, p, r) })
	}
}
