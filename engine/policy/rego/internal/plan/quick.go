package plan

import (
	"slices"
	"strings"
	"sync"
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
				return ast.InternedTerm(set.Contains(solid(operands[0])))
			}
			return nil
		}
	case ast.ObjectKeys.Name:
		return keys
	case ast.And.Name:
		return intersection
	case ast.Or.Name:
		return union
	case ast.Count.Name:
		return count
	case ast.Concat.Name:
		return concat
	case ast.AnyPrefixMatch.Name:
		return (&prefixMatch{}).match
	}
	return nil
}

func compared(want bool) quick {
	return func(operands []*ast.Term) *ast.Term {
		return ast.InternedTerm(equal(operands[0], operands[1]) == want)
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
	case *Part:
		return ast.InternedTerm(v.len())
	case *ast.Array:
		return ast.InternedTerm(v.Len())
	case ast.Object:
		return ast.InternedTerm(v.Len())
	case ast.Set:
		return ast.InternedTerm(v.Len())
	}
	return nil
}

// intersection is quick for sets that have nothing in common.
func intersection(operands []*ast.Term) *ast.Term {
	a, ok1 := operands[0].Value.(ast.Set)
	b, ok2 := operands[1].Value.(ast.Set)
	if !ok1 || !ok2 {
		return nil
	}
	if a.Len() > b.Len() {
		a, b = b, a
	}
	if a.Until(b.Contains) {
		return nil
	}
	return ast.InternedEmptySet
}

// union is quick where a set is empty.
func union(operands []*ast.Term) *ast.Term {
	a, ok1 := operands[0].Value.(ast.Set)
	b, ok2 := operands[1].Value.(ast.Set)
	switch {
	case !ok1 || !ok2:
	case a.Len() == 0:
		return operands[1]
	case b.Len() == 0:
		return operands[0]
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
	return join(string(delimiter), array.Len(), array.Elem)
}

// joined is concat of a delimiter and the elements of an array.
func joined(operands []*ast.Term) *ast.Term {
	delimiter, ok := operands[0].Value.(ast.String)
	if !ok {
		return nil
	}
	parts := operands[1:]
	return join(string(delimiter), len(parts), func(i int) *ast.Term { return parts[i] })
}

func join(delimiter string, n int, part func(i int) *ast.Term) *ast.Term {
	var room [256]byte
	text := room[:0]
	for i := range n {
		s, ok := part(i).Value.(ast.String)
		if !ok {
			return nil
		}
		if i > 0 {
			text = append(text, delimiter...)
		}
		text = append(text, s...)
	}
	return ast.StringTerm(string(text))
}

// keys is the set of an object's keys. Those of a part are known without its elements.
func keys(operands []*ast.Term) *ast.Term {
	p, ok := operands[0].Value.(*Part)
	if !ok || p.names == nil {
		return nil
	}
	set := ast.NewSet()
	for i := range p.names {
		if p.has(i) {
			set.Add(p.key(i))
		}
	}
	return ast.NewTerm(set)
}

// prefixMatch looks for a prefix of strings among many. Most often these are the same
// few sets each time, which it keeps in order from the second time on.
type prefixMatch struct {
	kept [4]atomic.Pointer[prefixes]
	next atomic.Uint32
}

// prefixes are strings in order, none of which begins with another.
type prefixes struct {
	of     ast.Set
	sort   sync.Once
	sorted []string
	mixed  bool // there is something else in the set
}

func (p *prefixMatch) match(operands []*ast.Term) *ast.Term {
	set, ok := operands[1].Value.(ast.Set)
	if !ok {
		return nil
	}
	list := p.of(set)
	if list == nil {
		return nil
	}
	switch search := operands[0].Value.(type) {
	case ast.String:
		return ast.InternedTerm(list.match(string(search)))
	case ast.Set:
		return list.matchAny(search.Slice())
	}
	return nil
}

// of returns the set in order, nil if it is not known yet or holds more than strings.
func (p *prefixMatch) of(set ast.Set) *prefixes {
	for i := range p.kept {
		if list := p.kept[i].Load(); list != nil && list.of == set {
			list.sort.Do(list.fill)
			if list.mixed {
				return nil
			}
			return list
		}
	}
	i := p.next.Add(1) % uint32(len(p.kept))
	p.kept[i].Store(&prefixes{of: set})
	return nil
}

func (p *prefixes) fill() {
	var list []string
	for _, t := range p.of.Slice() {
		s, ok := t.Value.(ast.String)
		if !ok {
			p.mixed = true
			return
		}
		list = append(list, string(s))
	}
	slices.Sort(list)
	// They are compared with each other's neighbours, and lie side by side for that.
	together := strings.Join(list, "")
	for i, s := range list {
		list[i], together = together[:len(s)], together[len(s):]
	}
	for _, s := range list {
		if n := len(p.sorted); n == 0 || !strings.HasPrefix(s, p.sorted[n-1]) {
			p.sorted = append(p.sorted, s)
		}
	}
}

// matchAny says whether one of several strings begins with one of them; nil where
// there is something else among these.
func (p *prefixes) matchAny(search []*ast.Term) *ast.Term {
	found := false
	for _, t := range search {
		s, ok := t.Value.(ast.String)
		if !ok {
			return nil
		}
		found = found || p.match(string(s))
	}
	return ast.InternedTerm(found)
}

// match says whether a string begins with one of them: that one is the last that
// does not come after the string.
func (p *prefixes) match(text string) bool {
	i, found := slices.BinarySearch(p.sorted, text)
	return found || i > 0 && strings.HasPrefix(text, p.sorted[i-1])
}
