package plan

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// quick answers calls of a builtin for the usual types of operands, as the builtin
// would. It gives nil for others: those are the builtin's.
type quick func(operands []*ast.Term) *ast.Term

// quickly returns the quick way of one call of a builtin; nil where there is none.
func quickly(name string) quick {
	switch name {
	case ast.Equal.Name:
		return compared(true)
	case ast.NotEqual.Name:
		return compared(false)
	case ast.StartsWith.Name:
		return ofStrings(strings.HasPrefix)
	case ast.EndsWith.Name:
		return ofStrings(strings.HasSuffix)
	case ast.Contains.Name:
		return ofStrings(strings.Contains)
	case ast.Member.Name:
		return func(operands []*ast.Term) *ast.Term {
			if set, ok := operands[1].Value.(ast.Set); ok {
				return ast.InternedTerm(set.Contains(operands[0]))
			}
			return nil
		}
	case ast.Count.Name:
		return count
	case ast.Concat.Name:
		return concat
	case ast.AnyPrefixMatch.Name:
		return (&prefixMatch{}).match
	}
	return nil
}

func compared(equal bool) quick {
	return func(operands []*ast.Term) *ast.Term {
		return ast.InternedTerm(operands[0].Equal(operands[1]) == equal)
	}
}

func ofStrings(holds func(a, b string) bool) quick {
	return func(operands []*ast.Term) *ast.Term {
		a, ok1 := operands[0].Value.(ast.String)
		b, ok2 := operands[1].Value.(ast.String)
		if !ok1 || !ok2 {
			return nil
		}
		return ast.InternedTerm(holds(string(a), string(b)))
	}
}

func count(operands []*ast.Term) *ast.Term {
	switch v := operands[0].Value.(type) {
	case *ast.Array:
		return ast.InternedTerm(v.Len())
	case ast.Object:
		return ast.InternedTerm(v.Len())
	case ast.Set:
		return ast.InternedTerm(v.Len())
	}
	return nil
}

// concat joins an array of strings.
func concat(operands []*ast.Term) *ast.Term {
	delimiter, ok1 := operands[0].Value.(ast.String)
	array, ok2 := operands[1].Value.(*ast.Array)
	if !ok1 || !ok2 {
		return nil
	}
	var text strings.Builder
	for i := range array.Len() {
		part, ok := array.Elem(i).Value.(ast.String)
		if !ok {
			return nil
		}
		if i > 0 {
			text.WriteString(string(delimiter))
		}
		text.WriteString(string(part))
	}
	return ast.StringTerm(text.String())
}

// prefixMatch looks for a prefix of a string among many. Most often these are the
// same set each time, for which it keeps them in order.
type prefixMatch struct {
	last atomic.Pointer[ast.Value] // the set of the call before
	kept atomic.Pointer[prefixes]
}

// prefixes are strings in order, none of which begins with another.
type prefixes struct {
	of     ast.Value
	sorted []string
}

func (p *prefixMatch) match(operands []*ast.Term) *ast.Term {
	text, ok := operands[0].Value.(ast.String)
	set, isSet := operands[1].Value.(ast.Set)
	if !ok || !isSet {
		return nil
	}
	if kept := p.kept.Load(); kept != nil && kept.of == ast.Value(set) {
		return ast.InternedTerm(kept.match(string(text)))
	}
	if last := p.last.Load(); last == nil || *last != ast.Value(set) {
		v := ast.Value(set)
		p.last.Store(&v)
		return nil
	}
	list, ok := newPrefixes(set)
	if !ok {
		return nil
	}
	p.kept.Store(list)
	return ast.InternedTerm(list.match(string(text)))
}

// newPrefixes sorts a set of strings; false where it holds anything else.
func newPrefixes(set ast.Set) (*prefixes, bool) {
	var list []string
	for _, t := range set.Slice() {
		s, ok := t.Value.(ast.String)
		if !ok {
			return nil, false
		}
		list = append(list, string(s))
	}
	slices.Sort(list)
	p := &prefixes{of: set}
	for _, s := range list {
		if n := len(p.sorted); n == 0 || !strings.HasPrefix(s, p.sorted[n-1]) {
			p.sorted = append(p.sorted, s)
		}
	}
	return p, true
}

// match says whether a string begins with one of them: that one is the last that
// does not come after the string.
func (p *prefixes) match(text string) bool {
	i, found := slices.BinarySearch(p.sorted, text)
	return found || i > 0 && strings.HasPrefix(text, p.sorted[i-1])
}
