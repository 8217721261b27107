package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// reader reads JSON into Go values as a shape says. It never goes deeper than the
// shape does.
type reader struct{ *json.Decoder }

func newReader(from io.Reader) *reader {
	d := json.NewDecoder(from)
	d.UseNumber()
	return &reader{d}
}

// path leads to a value of the document: names of keys and indices of lists.
type path []string

func (p path) key(name string) path {
	if strings.ContainsAny(name, ".[]\"\n") || name == "" {
		return append(p, "["+strconv.Quote(name)+"]")
	}
	return append(p, "."+name)
}

func (p path) index(i int) path { return append(p, "["+strconv.Itoa(i)+"]") }

func (p path) errorf(format string, args ...any) error {
	where := strings.TrimPrefix(strings.Join(p, ""), ".")
	if where == "" {
		return fmt.Errorf(format, args...)
	}
	return fmt.Errorf("%s: %w", where, fmt.Errorf(format, args...))
}

func (in *reader) value(s *Shape, v reflect.Value, at path) error {
	token, err := in.token(at)
	if err != nil {
		return err
	}
	switch s.Kind {
	case Object:
		return in.object(s, v, token, at)
	case Changes:
		return in.changes(s, v, token, at)
	case List:
		return in.list(s, v, token, at)
	case Map:
		return in.mapping(s, v, token, at)
	case Scalar:
		return in.scalar(v, token, at)
	}
	return set(s, v, token, at)
}

// object fills a struct, which v must be.
func (in *reader) object(s *Shape, v reflect.Value, token json.Token, at path) error {
	seen := make(map[string]struct{}, len(s.Fields))
	err := in.members(token, at, func(key string, at path) error {
		f := s.Field(key)
		if f == nil {
			return at.errorf("there is no such key")
		}
		seen[key] = struct{}{}
		if f.computed != nil {
			return in.value(f.Shape, reflect.New(f.Shape.Type).Elem(), at)
		}
		return in.field(f, v.Field(f.index), at)
	})
	if err != nil || s.Message {
		return err
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; !f.Optional {
			if _, ok := seen[f.Name]; !ok {
				return at.key(f.Name).errorf("is missing")
			}
		}
	}
	return nil
}

// field fills a field of a struct: behind a pointer, in a message that wraps it, or
// in an interface.
func (in *reader) field(f *Field, v reflect.Value, at path) error {
	switch {
	case v.Kind() == reflect.Interface && f.Shape.Kind != Scalar:
		return in.boxed(f.Shape, v, at)
	case f.wrapped:
		v.Set(reflect.New(v.Type().Elem()))
		return in.value(f.Shape, v.Elem().Field(f.inner), at)
	}
	return in.value(f.Shape, settable(v), at)
}

// boxed fills an interface: with a pointer to a struct, or with any other value.
func (in *reader) boxed(s *Shape, v reflect.Value, at path) error {
	box := reflect.New(s.Type)
	if err := in.value(s, box.Elem(), at); err != nil {
		return err
	}
	if s.Kind != Object {
		box = box.Elem()
	}
	v.Set(box)
	return nil
}

// settable follows a pointer, which it makes point to something.
func settable(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	v.Set(reflect.New(v.Type().Elem()))
	return v.Elem()
}

func (in *reader) list(s *Shape, v reflect.Value, token json.Token, at path) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	err := in.elements(token, at, func(at path) error {
		list = reflect.Append(list, reflect.Zero(v.Type().Elem()))
		return in.value(s.Elem, settable(list.Index(list.Len()-1)), at)
	})
	v.Set(list)
	return err
}

// elements goes through a list that begins with token.
func (in *reader) elements(token json.Token, at path, element func(at path) error) error {
	if token != json.Delim('[') {
		return mismatch(at, token, "a list")
	}
	for i := 0; in.More(); i++ {
		if err := element(at.index(i)); err != nil {
			return err
		}
	}
	return in.end(at)
}

func (in *reader) mapping(s *Shape, v reflect.Value, token json.Token, at path) error {
	v.Set(reflect.MakeMap(v.Type()))
	return in.members(token, at, func(key string, at path) error {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := in.value(s.Elem, settable(elem), at); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key), elem)
		return nil
	})
}

// members goes through the keys of an object that begins with token.
func (in *reader) members(token json.Token, at path, member func(key string, at path) error) error {
	if token != json.Delim('{') {
		return mismatch(at, token, "an object")
	}
	seen := make(map[string]struct{})
	for in.More() {
		token, err := in.token(at)
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return mismatch(at, token, "a key")
		}
		if _, ok := seen[key]; ok {
			return at.key(key).errorf("stands twice")
		}
		seen[key] = struct{}{}
		if err := member(key, at.key(key)); err != nil {
			return err
		}
	}
	return in.end(at)
}

// end reads the bracket that closes an object or a list.
func (in *reader) end(at path) error {
	_, err := in.token(at)
	return err
}

// token reads what must be there.
func (in *reader) token(at path) (json.Token, error) {
	token, err := in.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, at.errorf("no JSON: %w", err)
	}
	return token, nil
}
