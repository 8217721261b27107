package document

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/nri-guard/nri-guard/engine"
)

// Options says what [Marshal] writes. The zero value writes everything as it is,
// without the effective container.
type Options struct {
	// Mask replaces the values of environment variables, the container's and those
	// of hooks, by "***".
	Mask bool
	// Unmask holds patterns, as of [path.Match], for names of variables that stay
	// readable all the same.
	Unmask []string
	// Effective adds the container with the changes applied.
	Effective bool
	// Most is how many bytes there may be, more or less; 0 is any number.
	Most int
}

// ErrTooLong says that a document would be longer than [Options.Most].
var ErrTooLong = errors.New("it is too long")

// Marshal writes a review as a JSON document. Two calls for the same review give
// the same bytes. It fails only for reviews that no border builds: a change of a
// field that does not exist, or one whose value is of another Go type than the
// field's, and with [ErrTooLong].
func Marshal(r *engine.Review, o Options) ([]byte, error) {
	w := &writer{mask: mask{on: o.Mask, unmask: o.Unmask}, effective: o.Effective, most: o.Most, buf: make([]byte, 0, 16<<10)}
	err := w.value(ReviewShape(), reflect.ValueOf(r).Elem())
	if err == nil && w.full(0) {
		err = ErrTooLong
	}
	if err != nil {
		return nil, fmt.Errorf("review document: %w", err)
	}
	return w.buf, nil
}

// writer appends JSON. Writing it here rather than by encoding/json keeps the
// shape the only authority on what the document looks like.
type writer struct {
	buf       []byte
	mask      mask
	effective bool
	most      int
}

// full says whether n more bytes are too many.
func (w *writer) full(n int) bool { return w.most > 0 && len(w.buf)+n > w.most }

func (w *writer) value(s *Shape, v reflect.Value) error {
	if w.full(0) {
		return ErrTooLong
	}
	switch s.Kind {
	case Object:
		return w.object(s, v)
	case Changes:
		return w.changes(s, v.Interface().([]*engine.Change))
	case List:
		return w.list(s, v)
	case Map:
		return w.mapping(s, v)
	case Enum:
		w.text(s.EnumText(v.Int()))
		return nil
	}
	return w.scalar(v)
}

func (w *writer) scalar(v reflect.Value) error {
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
		return fmt.Errorf("a value of type %s has no form in the document", v.Type())
	}
	return nil
}

func (w *writer) object(s *Shape, v reflect.Value) error {
	w.byte('{')
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.computed != nil && !w.effective {
			continue
		}
		fv, presence := f.Of(v)
		if presence == Absent {
			continue
		}
		if f.boxed && !f.Shape.Fits(fv) {
			return fmt.Errorf("%s is of type %s", f.Name, fv.Type())
		}
		w.next()
		w.name(f.Name)
		if err := w.value(f.Shape, fv); err != nil {
			return err
		}
	}
	w.byte('}')
	return nil
}

func (w *writer) changes(s *Shape, changes []*engine.Change) error {
	w.byte('{')
	for field, group := range Group(changes) {
		f := s.Field(string(field))
		if f == nil {
			return fmt.Errorf("change %q is of field %q, which does not exist", engine.Brief(group[0].ID, 256), field)
		}
		w.next()
		w.name(f.Name)
		if err := w.group(f.Shape, group); err != nil {
			return err
		}
	}
	w.byte('}')
	return nil
}

func (w *writer) group(s *Shape, changes []*engine.Change) error {
	begin, end, keys := byte('['), byte(']'), []string(nil)
	if s.Kind == Map {
		begin, end, keys = '{', '}', ChangeKeys(changes)
	}
	w.byte(begin)
	for i, c := range changes {
		w.next()
		if keys != nil {
			w.key(keys[i])
		}
		if err := w.value(s.Elem, reflect.ValueOf(w.mask.change(c)).Elem()); err != nil {
			return fmt.Errorf("change %q: %w", engine.Brief(c.ID, 256), err)
		}
	}
	w.byte(end)
	return nil
}

func (w *writer) list(s *Shape, v reflect.Value) error {
	if s.Environ {
		v = reflect.ValueOf(w.mask.entries(v.Interface().([]string)))
	}
	w.byte('[')
	for i := range v.Len() {
		w.next()
		elem, _ := s.Elem.Resolve(v.Index(i))
		if err := w.value(s.Elem, elem); err != nil {
			return err
		}
	}
	w.byte(']')
	return nil
}

func (w *writer) mapping(s *Shape, v reflect.Value) error {
	names := make([]string, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		names = append(names, it.Key().String())
	}
	slices.Sort(names)
	w.byte('{')
	for i, key := range Keys(names) {
		w.next()
		w.key(key)
		elem, _ := s.Elem.Resolve(v.MapIndex(reflect.ValueOf(names[i])))
		if err := w.value(s.Elem, elem); err != nil {
			return err
		}
	}
	w.byte('}')
	return nil
}

const hex = "0123456789abcdef"

func (w *writer) byte(c byte) { w.buf = append(w.buf, c) }

// next separates an element from the one before it; no value ends in an opening
// bracket.
func (w *writer) next() {
	if last := w.buf[len(w.buf)-1]; last != '{' && last != '[' {
		w.byte(',')
	}
}

// name writes the key of a field, in which there is nothing to escape.
func (w *writer) name(s string) {
	w.byte('"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"', ':')
}

func (w *writer) key(name string) {
	w.text(name)
	w.byte(':')
}

// text writes a string, or something as long where it is too long anyway. What JSON
// does not demand to be escaped is left readable.
func (w *writer) text(s string) {
	if w.full(len(s)) {
		w.buf = append(w.buf, s...)
		return
	}
	s = Valid(s)
	w.byte('"')
	plain := 0 // where what need not be escaped begins
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		w.buf = append(w.buf, s[plain:i]...)
		plain = i + 1
		if c < ' ' {
			w.buf = append(w.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			w.buf = append(w.buf, '\\', c)
		}
	}
	w.buf = append(w.buf, s[plain:]...)
	w.byte('"')
}
