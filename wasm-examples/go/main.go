// A validator for NRI: mounts that plugins add are read-only, and no variable that they
// set is named like a secret. See README.md for the rules.
package main

import (
	"strings"

	"github.com/nri-guard/nri-guard/wasm-examples/go/guest"
)

var _ = guest.Register(guest.Validator{Judge: judge})

func main() {} // is never called

func judge(r *guest.Request) error {
	var objections objections
	for m := range r.Adjust().Mounts() {
		if _, removed := guest.Removal(m.Destination()); !removed && !m.ReadOnly() {
			objections.add("mount " + m.Destination() + " is not read-only")
		}
	}
	for v := range r.Adjust().Env() {
		name, _, _ := strings.Cut(v.Name(), "=") // behind it the value would begin
		if _, removed := guest.Removal(name); !removed && isSecret(name) {
			objections.add("variable " + name + " is named like a secret")
		}
	}
	if len(objections) == 0 {
		return nil
	}
	return guest.Reject(strings.Join(objections, "; "))
}

func isSecret(name string) bool {
	for _, suffix := range []string{
		"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE",
		"CREDENTIALS", "API_KEY", "PRIVATE_KEY", "SECRET_KEY", "ACCESS_KEY",
	} {
		if len(name) >= len(suffix) && equalFold(name[len(name)-len(suffix):], suffix) {
			return true
		}
	}
	return false
}

// equalFold compares ASCII, in any case. (strings.EqualFold takes the Kelvin sign for
// a K.)
func equalFold(name, upper string) bool {
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// named is how many objections are named; of more it is only said that there are.
const named = 10

type objections []string

func (o *objections) add(objection string) {
	switch {
	case len(*o) < named:
		*o = append(*o, objection)
	case len(*o) == named:
		*o = append(*o, "and more")
	}
}
