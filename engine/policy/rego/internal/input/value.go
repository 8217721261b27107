package input

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// listed is a part made of a slice.
type listed struct {
	plan.Part
	in      *Input
	v       reflect.Value
	shape   *document.Shape
	element encode
}

func list(shape *document.Shape) encode {
	element, elem := compile(shape.Elem), shape.Elem
	return func(in *Input, v reflect.Value) *ast.Term {
		n := v.Len()
		if n == 0 {
			return ast.InternedEmptyArray
		}
		l := &listed{in: in, v: v, shape: elem, element: element}
		l.List(l, in.places.take(n))
		return in.term(&l.Part)
	}
}

// Element implements [plan.Elements].
func (l *listed) Element(i int) *ast.Term {
	l.in.enter()
	defer l.in.leave()
	v, _ := l.shape.Resolve(l.v.Index(i))
	return l.element(l.in, v)
}

// Key implements [plan.Elements].
func (l *listed) Key(i int) *ast.Term { return ast.InternedTerm(i) }

// mapping compiles an object with free keys.
func mapping(shape *document.Shape) encode {
	element, elem := compile(shape.Elem), shape.Elem
	return func(in *Input, v reflect.Value) *ast.Term {
		names := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			names = append(names, it.Key().String())
		}
		slices.Sort(names)
		return newNamed(in, document.Keys(names), func(i int) *ast.Term {
			value, _ := elem.Resolve(v.MapIndex(reflect.ValueOf(names[i])))
			return element(in, value)
		})
	}
}

// text compiles a string. One of few is made once for all reviews.
func text(shape *document.Shape) encode {
	known := make(map[string]*ast.Term, len(shape.Values))
	for _, s := range shape.Values {
		known[s] = ast.StringTerm(s)
	}
	return func(in *Input, v reflect.Value) *ast.Term {
		if t, ok := known[v.String()]; ok {
			return t
		}
		return in.string(v.String())
	}
}

func enum(shape *document.Shape) encode {
	return func(in *Input, v reflect.Value) *ast.Term { return in.string(shape.EnumText(v.Int())) }
}

// scalar makes a term of any value that is neither object nor list.
func scalar(in *Input, v reflect.Value) *ast.Term {
	switch v.Kind() {
	case reflect.String:
		return in.string(v.String())
	case reflect.Bool:
		return ast.InternedTerm(v.Bool())
	case reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); !interned(n) {
			return in.term(ast.Number(strconv.FormatUint(n, 10)))
		}
		return ast.InternedTerm(v.Uint())
	}
	if n := v.Int(); n < 0 || !interned(uint64(n)) {
		return in.term(ast.Number(strconv.FormatInt(n, 10)))
	}
	return ast.InternedTerm(v.Int())
}

// interned says whether OPA keeps a term for the number. Asking it about larger
// ones would truncate them to int.
func interned(n uint64) bool { return n < 1<<31 && ast.HasInternedIntNumberTerm(int(n)) }
