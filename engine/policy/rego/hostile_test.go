package rego_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

const fine = "deny contains {\"change\": c.id} if some c in input.changes.mount\n"

// deep makes values within values, as often as n says.
func deep(n int) string {
	var b strings.Builder
	b.WriteString("deny contains \"no\" if {\n\ta0 := input.changes.mount\n")
	for i := range n {
		fmt.Fprintf(&b, "\ta%d := [a%d, a%d]\n", i+1, i, i)
	}
	fmt.Fprintf(&b, "\tsome p, v in [1 | walk(a%d, [_, x]); x == 0]\n\tp == v\n}\n", n)
	return b.String()
}

// calls makes functions that call each other twice, with other arguments each time.
func calls(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "deny contains \"no\" if f%d(count(input.changes.mount)) == 0\n\nf0(x) := x\n", n)
	for i := range n {
		fmt.Fprintf(&b, "\nf%d(x) := f%d((2 * x) + 1) + f%d(2 * x)\n", i+1, i, i)
	}
	return b.String()
}

// TestHostile: whatever a policy does, it takes no more than its time, and others
// have their say. What fills the memory is asked alone: on a busy machine the
// collector may take the others' time.
func TestHostile(t *testing.T) {
	late := "failure deny p0: it had no answer in time\n"
	tests := []struct {
		name, body, want string
		fills            bool
	}{
		{"nested iteration", endless, late, false},
		{"a comprehension without end", "deny contains \"no\" if count([1 | some i in numbers.range(1, 100000); some j in numbers.range(i, 100000)]) == 0\n", late, true},
		{"a set without end", "deny contains \"no\" if count(all) == 0\n\nall contains [i, j] if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n}\n", late, true},
		{"an object without end", "deny contains \"no\" if count(all) == 0\n\nall[i][j] := 1 if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n}\n", late, true},
		{"every without end", "deny contains \"no\" if every i in numbers.range(1, 100000) { every j in numbers.range(1, 100000) { i * j > 0 } }\n", late, false},
		{"not without end", "deny contains \"no\" if not no\n\nno if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\ti * j == 0\n}\n", late, false},
		{"values within values, walked", deep(40), late, true},
		{"calls that double", calls(40), late, true},
		{"with, again and again", "deny contains \"no\" if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\tm with input.operation as sprintf(\"%d\", [i * j])\n}\n\nm if input.operation == \"none\"\n", late, false},
		{"an error in the middle", "deny contains \"no\" if {\n\tsome i in numbers.range(1, 1000)\n\tsome j in numbers.range(0, 1000)\n\ti / (j - 500) == 0.3\n}\n",
			"failure deny p0: p0/p0.rego:6: eval_builtin_error: div: divide by zero\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bodies, want := []string{tt.body, fine}, "deny p1: \"\" about \"mount:/data\"\n"+tt.want
			if tt.fills {
				bodies, want = bodies[:1], tt.want
			}
			s := write(t, bodies...)
			j := judge(t, s, nil)
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			got := strings.ReplaceAll(verdict(j.Judge(ctx, review("mount:/data"))), s.Paths[0]+"/", "")
			if got != want {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			goroutinesEnd(t, before)
		})
	}
}
