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
type write func(w *writer, buf []byte, v reflect.Value) []byte

// compile returns the function for values of a shape.
func (c *writers) compile(s *Shape) write {
	switch s.Kind {
	case Object:
		if s.Type == reflect.TypeFor[engine.Plugin]() {
			return again(c.object(s))
		}
		return c.object(s)
	case Changes:
		return c.changes(s)
	case List:
		return c.list(s)
	case Map:
		return c.mapping(s)
	case Enum:
		return func(w *writer, buf []byte, v reflect.Value) []byte { return w.text(buf, s.EnumText(v.Int())) }
	case Text:
		return func(w *writer, buf []byte, v reflect.Value) []byte { return w.text(buf, v.String()) }
	}
	return scalar
}

// scalar appends a value that is neither object nor list.
func scalar(w *writer, buf []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return w.text(buf, v.String())
	case reflect.Bool:
		return strconv.AppendBool(buf, v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(buf, v.Int(), 10)
	case reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(buf, v.Uint(), 10)
	}
	w.fail(fmt.Errorf("a value of type %s has no form in the document", v.Type()))
	return buf
}

// member is a key of an object with what writes its value.
type member struct {
	name  string // as JSON, with the comma before it; of a text with the quote behind it
	write write
	index int
	how   how
	field *Field
	zero  string // JSON of what stands where there is no value
}

// how says what the Go field of a member is.
type how int

const (
	resolved how = iota // something that [Field.Of] finds the value in
	plain               // the value itself
	text                // the value itself, a string
	boxed               // an interface
)

func (c *writers) object(s *Shape) write {
	members := make([]member, len(s.Fields))
	for i := range s.Fields {
		members[i] = c.member(&s.Fields[i])
	}
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		buf = append(buf, '{')
		for i := range members {
			switch m := &members[i]; m.how {
			case text:
				buf = append(w.open(appendName(buf, m.name), v.Field(m.index).String()), '"')
			case plain:
				buf = m.write(w, appendName(buf, m.name), v.Field(m.index))
			case boxed:
				buf = m.boxed(w, appendName(buf, m.name), v.Field(m.index))
			case resolved:
				buf = m.append(w, buf, v)
			}
		}
		return append(buf, '}')
	}
}

func (c *writers) member(f *Field) member {
	m := member{name: `,"` + f.Name + `":`, write: c.compile(f.Shape), index: f.index, field: f}
	switch {
	case f.plain && f.Shape.Kind == Text:
		m.how = text
		m.name += `"`
	case f.plain:
		m.how = plain
	case f.boxed:
		m.how = boxed
	}
	if !f.plain {
		m.zero = zero(f.Shape, m.write)
	}
	return m
}

// again compiles a plugin, of which a review repeats few often: what was written of
// it is copied.
func again(object write) write {
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		if !v.CanAddr() {
			return object(w, buf, v) // the zero value
		}
		p, _ := reflect.TypeAssert[*engine.Plugin](v.Addr())
		for i := range w.plugins {
			known := &w.plugins[i]
			if n := known.end - known.start; n > 0 && known.plugin == *p && n <= w.limit-len(buf) {
				return append(buf, buf[known.start:known.end]...)
			}
		}
		start := len(buf)
		buf = object(w, buf, v)
		w.plugins[w.next] = written{*p, start, len(buf)}
		w.next = (w.next + 1) % len(w.plugins)
		return buf
	}
}

// written is where a plugin stands in the buffer.
type written struct {
	plugin     engine.Plugin
	start, end int
}

// zero returns what is written where there is no value.
func zero(s *Shape, value write) string {
	return string(value(newWriter(0, Options{}), nil, s.zero))
}

// append appends the key and the value, unless it is absent.
func (m *member) append(w *writer, buf []byte, parent reflect.Value) []byte {
	if m.field.computed != nil && !w.effective {
		return buf
	}
	v, presence := m.field.Of(parent)
	switch presence {
	case Absent:
		return buf
	case Zero:
		return append(appendName(buf, m.name), m.zero...)
	}
	return m.write(w, appendName(buf, m.name), v)
}

// boxed appends what an interface holds: the value of a change.
func (m *member) boxed(w *writer, buf []byte, box reflect.Value) []byte {
	if w.hidden && !box.IsNil() {
		return append(buf, `"`+masked+`"`...)
	}
	v, presence := m.field.Shape.Resolve(box)
	switch {
	case presence == Zero:
		return append(buf, m.zero...)
	case m.field.Shape.Fits(v):
		return m.write(w, buf, v)
	}
	w.fail(fmt.Errorf("%s is of type %s", m.field.Name, v.Type()))
	return buf
}

// changes compiles the object of changes.
func (c *writers) changes(s *Shape) write {
	for i := range s.Fields {
		f := &s.Fields[i]
		c.groups[engine.Field(f.Name)] = &group{name: `,"` + f.Name + `":`, byName: f.Shape.Kind == Map, element: c.compile(f.Shape.Elem)}
	}
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		changes, _ := reflect.TypeAssert[[]*engine.Change](v)
		buf = append(buf, '{')
		for field, some := range Group(changes) {
			g := c.groups[field]
			if g == nil {
				w.fail(fmt.Errorf("change %q is of field %q, which does not exist", engine.Brief(some[0].ID, 256), field))
			}
			if w.stop(buf) {
				return buf
			}
			buf = g.append(w, appendName(buf, g.name), some)
		}
		return append(buf, '}')
	}
}

// group writes the changes of one field.
type group struct {
	name    string // as JSON, with the comma before it
	byName  bool   // they are an object
	element write
}

func (g *group) append(w *writer, buf []byte, changes []*engine.Change) []byte {
	begin, end, keys := byte('['), byte(']'), []string(nil)
	if g.byName {
		begin, end = '{', '}'
		if !inOrder(changes) {
			keys = ChangeKeys(changes)
		}
	}
	buf = append(buf, begin)
	for i, c := range changes {
		if i > 0 {
			buf = append(buf, ',')
		}
		switch {
		case keys != nil:
			buf = w.key(buf, keys[i])
		case g.byName:
			buf = w.key(buf, c.Key)
		}
		if buf = g.change(w, buf, c); w.stop(buf) {
			w.err = fmt.Errorf("change %q: %w", engine.Brief(c.ID, 256), w.err)
			return buf
		}
	}
	return append(buf, end)
}

func (g *group) change(w *writer, buf []byte, c *engine.Change) []byte {
	w.hidden = c.Field == engine.Env && w.mask.hides(c.Key)
	return g.element(w, buf, reflect.ValueOf(c).Elem())
}

func (c *writers) list(s *Shape) write {
	switch {
	case s.Environ:
		return textList((*writer).entry)
	case s.Type == reflect.TypeFor[[]string]():
		return textList((*writer).text)
	}
	element := c.compile(s.Elem)
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		buf = append(buf, '[')
		for i := range v.Len() {
			if i > 0 {
				buf = append(buf, ',')
			}
			elem, _ := s.Elem.Resolve(v.Index(i))
			if buf = element(w, buf, elem); w.stop(buf) {
				return buf
			}
		}
		return append(buf, ']')
	}
}

// textList compiles a []string.
func textList(element func(w *writer, buf []byte, s string) []byte) write {
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		list, _ := reflect.TypeAssert[[]string](v)
		buf = append(buf, '[')
		for i, s := range list {
			if i > 0 {
				buf = append(buf, ',')
			}
			if buf = element(w, buf, s); w.stop(buf) {
				return buf
			}
		}
		return append(buf, ']')
	}
}

func (c *writers) mapping(s *Shape) write {
	if s.Type == reflect.TypeFor[map[string]string]() {
		return textMap
	}
	element := c.compile(s.Elem)
	return func(w *writer, buf []byte, v reflect.Value) []byte {
		names := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			names = append(names, it.Key().String())
		}
		slices.Sort(names)
		buf = append(buf, '{')
		for i, key := range Keys(names) {
			if i > 0 {
				buf = append(buf, ',')
			}
			elem, _ := s.Elem.Resolve(v.MapIndex(reflect.ValueOf(names[i])))
			if buf = element(w, w.key(buf, key), elem); w.stop(buf) {
				return buf
			}
		}
		return append(buf, '}')
	}
}

// textMap appends a map of strings, as nearly all of them are.
func textMap(w *writer, buf []byte, v reflect.Value) []byte {
	entries, _ := reflect.TypeAssert[map[string]string](v)
	names := make([]string, 0, 16) // on the stack, mostly
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	buf = append(buf, '{')
	for i, key := range Keys(names) {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf = w.text(w.key(buf, key), entries[names[i]]); w.stop(buf) {
			return buf
		}
	}
	return append(buf, '}')
}
