// A validator that is a WASI command: it reads the review document on standard input
// and writes what it objects to. Mounts that plugins add are read-only, and no variable
// that they set is named like a secret. See README.md for the rules.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// review is what is read of the document; nri-guard schema describes all of it.
type review struct {
	Changes struct {
		Mount []change[struct {
			ReadOnly bool `json:"readOnly"`
		}] `json:"mount"`
		Env map[string]change[string] `json:"env"`
	} `json:"changes"`
}

type change[V any] struct {
	ID    string `json:"id"`
	Op    string `json:"op"`
	Key   string `json:"key"`
	Value V      `json:"value"`
}

type violation struct {
	Message string `json:"msg"`
	Change  string `json:"change"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) // a failure, which denies
	}
}

func run(in io.Reader, out io.Writer) error {
	var r review
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("review document: %w", err)
	}
	violations := []violation{}
	for _, c := range r.Changes.Mount {
		if c.Op != "remove" && !c.Value.ReadOnly {
			violations = append(violations, violation{"mount " + c.Key + " is not read-only", c.ID})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Changes.Env)) {
		if c := r.Changes.Env[name]; c.Op != "remove" && isSecret(name) {
			violations = append(violations, violation{"variable " + name + " is named like a secret", c.ID})
		}
	}
	return json.NewEncoder(out).Encode(map[string]any{"violations": violations})
}

func isSecret(name string) bool {
	return slices.ContainsFunc([]string{
		"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE",
		"CREDENTIALS", "API_KEY", "PRIVATE_KEY", "SECRET_KEY", "ACCESS_KEY",
	}, func(suffix string) bool { return strings.HasSuffix(upper(name), suffix) })
}

// upper makes capital letters of ASCII's small ones. (strings.ToUpper would make some
// of other letters too.)
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}
