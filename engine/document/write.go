package document

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/nri-guard/nri-guard/engine"
)

// write appends a value, which is as [Shape.Resolve] returns it. What goes wrong
// stays in the writer.
type write func(w *writer, v reflect.Value)

// compile returns the function for values of a shape.
func (c *writers) compile(s *Shape) write {
	switch s.Kind {
	case Object:
		return c.object(s)
	case Changes:
		return c.changes(s)
	case List:
		return c.list(s)
	case Map:
		return c.mapping(s)
	case Enum:
		return func(w *writer, v reflect.Value) { w.text(s.EnumText(v.Int())) }
	case Text:
		return func(w *writer, v reflect.Value) { w.text(v.String()) }
	}
	return scalar
}

// scalar appends a value that is neither object nor list.
func scalar(w *writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		w.text(v.String())
	case reflect.Bool:
		w.buf = strconv.AppendBool(w.buf, v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		w.buf = strconv.AppendInt(w.buf, v.Int(), 10)
	case reflect.Uint32, reflect.Uint64:
		w.buf = strconv.AppendUint(w.buf, v.Uint(), 10)
	default:
		w.fail(fmt.Errorf("a value of type %s has no form in the document", v.Type()))
	}
}

// member is a key of an object with what writes its value.
type member struct {
	name  string // as JSON, with the comma before it
	write write
	index int
	plain bool // the Go field is the value itself, and is always there
	field *Field
	zero  string // JSON of what stands where there is no value
}

func (c *writers) object(s *Shape) write {
	members := make([]member, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		value := c.compile(f.Shape)
		members[i] = member{name: `,"` + f.Name + `":`, write: value, index: f.index, plain: f.plain, field: f, zero: zero(f.Shape, value)}
	}
	return func(w *writer, v reflect.Value) {
		w.byte('{')
		for i := range members {
			switch m := &members[i]; {
			case m.plain:
				w.name(m.name)
				m.write(w, v.Field(m.index))
			case m.field.boxed:
				m.boxed(w, v.Field(m.index))
			default:
				m.append(w, v)
			}
		}
		w.byte('}')
	}
}

// zero returns what is written where there is no value.
func zero(s *Shape, value write) string {
	if s.Kind == Changes {
		return "" // never behind a pointer
	}
	w := newWriter(nil, Options{})
	value(w, s.zero)
	return string(w.buf)
}

// append appends the key and the value, unless it is absent.
func (m *member) append(w *writer, parent reflect.Value) {
	if m.field.computed != nil && !w.effective {
		return
	}
	v, presence := m.field.Of(parent)
	switch presence {
	case Absent:
	case Zero:
		w.name(m.name)
		w.buf = append(w.buf, m.zero...)
	default:
		w.name(m.name)
		m.write(w, v)
	}
}

// boxed appends the key and what an interface holds.
func (m *member) boxed(w *writer, box reflect.Value) {
	w.name(m.name)
	if w.hidden && !box.IsNil() {
		w.text(masked)
		return
	}
	v, presence := m.field.Shape.Resolve(box)
	switch {
	case presence == Zero:
		w.buf = append(w.buf, m.zero...)
	case m.field.Shape.Fits(v):
		m.write(w, v)
	default:
		w.fail(fmt.Errorf("%s is of type %s", m.field.Name, v.Type()))
	}
}

// changes compiles the object of changes.
func (c *writers) changes(s *Shape) write {
	for i := range s.Fields {
		f := &s.Fields[i]
		c.groups[engine.Field(f.Name)] = &group{name: `,"` + f.Name + `":`, byName: f.Shape.Kind == Map, element: c.compile(f.Shape.Elem)}
	}
	return func(w *writer, v reflect.Value) {
		changes, _ := reflect.TypeAssert[[]*engine.Change](v)
		w.byte('{')
		for field, some := range Group(changes) {
			g := c.groups[field]
			if g == nil {
				w.fail(fmt.Errorf("change %q is of field %q, which does not exist", engine.Brief(some[0].ID, 256), field))
			}
			if w.stop() {
				return
			}
			w.name(g.name)
			g.append(w, some)
		}
		w.byte('}')
	}
}

// group writes the changes of one field.
type group struct {
	name    string // as JSON, with the comma before it
	byName  bool   // they are an object
	element write
}

func (g *group) append(w *writer, changes []*engine.Change) {
	begin, end, keys := byte('['), byte(']'), []string(nil)
	if g.byName {
		begin, end = '{', '}'
		if !inOrder(changes) {
			keys = ChangeKeys(changes)
		}
	}
	w.byte(begin)
	for i, c := range changes {
		if i > 0 {
			w.byte(',')
		}
		switch {
		case keys != nil:
			w.key(keys[i])
		case g.byName:
			w.key(c.Key)
		}
		if g.change(w, c); w.stop() {
			w.err = fmt.Errorf("change %q: %w", engine.Brief(c.ID, 256), w.err)
			return
		}
	}
	w.byte(end)
}

func (g *group) change(w *writer, c *engine.Change) {
	w.hidden = c.Field == engine.Env && w.mask.hides(c.Key)
	g.element(w, reflect.ValueOf(c).Elem())
}

func (c *writers) list(s *Shape) write {
	if s.Environ {
		return environ
	}
	element := c.compile(s.Elem)
	return func(w *writer, v reflect.Value) {
		w.byte('[')
		for i := range v.Len() {
			if i > 0 {
				w.byte(',')
			}
			elem, _ := s.Elem.Resolve(v.Index(i))
			if element(w, elem); w.stop() {
				return
			}
		}
		w.byte(']')
	}
}

// environ appends a list of NAME=value. An entry without a name could be a value.
func environ(w *writer, v reflect.Value) {
	entries, _ := reflect.TypeAssert[[]string](v)
	w.byte('[')
	for i, entry := range entries {
		if i > 0 {
			w.byte(',')
		}
		w.entry(entry)
		if w.stop() {
			return
		}
	}
	w.byte(']')
}

func (c *writers) mapping(s *Shape) write {
	element := c.compile(s.Elem)
	return func(w *writer, v reflect.Value) {
		texts, plain := reflect.TypeAssert[map[string]string](v)
		names := make([]string, 0, 16)
		if plain {
			for name := range texts {
				names = append(names, name)
			}
		} else {
			for it := v.MapRange(); it.Next(); {
				names = append(names, it.Key().String())
			}
		}
		slices.Sort(names)
		w.byte('{')
		for i, key := range Keys(names) {
			if i > 0 {
				w.byte(',')
			}
			w.key(key)
			if plain {
				w.text(texts[names[i]])
			} else {
				elem, _ := s.Elem.Resolve(v.MapIndex(reflect.ValueOf(names[i])))
				element(w, elem)
			}
			if w.stop() {
				return
			}
		}
		w.byte('}')
	}
}
