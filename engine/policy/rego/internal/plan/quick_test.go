package plan

import (
	"math/rand/v2"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestQuick: what a quick way answers is what the builtin answers, and where the
// builtin has an error it answers nothing. The second call finds what the first kept.
func TestQuick(t *testing.T) {
	var operands []*ast.Term
	for _, text := range []string{`""`, `"a"`, `"ab"`, `"abc"`, `"b"`, `"ä"`, `1`, `1.0`, `null`, `true`, `[]`, `["a", "b"]`, `["a", 1]`, `[["a"]]`,
		`set()`, `{"a"}`, `{"ab", "a", "c"}`, `{"abcd", "b", "x"}`, `{"a", 1}`, `{""}`, `{}`, `{"a": "b"}`} {
		operands = append(operands, ast.MustParseTerm(text))
	}
	for _, b := range ast.Builtins {
		way := quickly(b.Name)
		if way == nil {
			continue
		}
		arity := b.Decl.Arity()
		t.Run(b.Name, func(t *testing.T) {
			answers := 0
			for i := range len(operands) * len(operands) {
				args := []*ast.Term{operands[i/len(operands)], operands[i%len(operands)]}[:arity]
				want, err := byBuiltin(b.Name, args)
				for range 3 {
					got := way(args)
					if got != nil && (err != nil || !got.Equal(want)) {
						t.Fatalf("%v: got %v, want %v, %v", args, got, want, err)
					}
					if got != nil {
						answers++
					}
				}
			}
			if answers == 0 && b.Name != ast.ObjectKeys.Name { // which is quick for parts alone: see TestParts
				t.Error("it answers nothing")
			}
		})
	}
}

// TestJoined: an array that is not made is joined as one that is.
func TestJoined(t *testing.T) {
	for _, text := range []string{`[]`, `["a"]`, `["", "b", ""]`, `["a", 1]`, `[["a"], "b"]`} {
		array := ast.MustParseTerm(text)
		for _, delimiter := range []string{`""`, `", "`, `1`} {
			args := []*ast.Term{ast.MustParseTerm(delimiter)}
			want, err := byBuiltin(ast.Concat.Name, append(args, array))
			array.Value.(*ast.Array).Foreach(func(part *ast.Term) { args = append(args, part) })
			if got := joined(args); (got == nil) != (err != nil) || got != nil && !got.Equal(want) {
				t.Errorf("concat(%s, %s): got %v, want %v, %v", delimiter, text, got, want, err)
			}
		}
	}
}

func byBuiltin(name string, args []*ast.Term) (result *ast.Term, err error) {
	err = topdown.GetBuiltin(name)(topdown.BuiltinContext{}, args, func(t *ast.Term) error {
		result = t
		return nil
	})
	return result, err
}

// FuzzPrefixes: sorted prefixes find what looking at each finds.
func FuzzPrefixes(f *testing.F) {
	f.Add(uint64(1), "abab")
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		rng := rand.New(rand.NewPCG(seed, 1))
		set := ast.NewSet()
		for range rng.IntN(8) {
			start := rng.IntN(len(text) + 1)
			part := text[start : start+rng.IntN(len(text)-start+1)]
			if rng.IntN(2) == 0 {
				part = "ab"[rng.IntN(2):] + part
			}
			set.Add(ast.StringTerm(part))
		}
		args := []*ast.Term{ast.StringTerm(text), ast.NewTerm(set)}
		want, err := byBuiltin(ast.AnyPrefixMatch.Name, args)
		if err != nil {
			t.Fatal(err)
		}
		way := quickly(ast.AnyPrefixMatch.Name)
		if first := way(args); first != nil {
			t.Fatalf("a set is known at once: %v", first)
		}
		if got := way(args); !got.Equal(want) {
			t.Fatalf("%q in %v: got %v, want %v", text, set, got, want)
		}
	})
}
