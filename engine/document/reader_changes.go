package document

import (
	"encoding/json"
	"reflect"

	"github.com/nri-guard/nri-guard/engine"
)

// changesReader reads the object of changes back into one list.
type changesReader struct {
	*reader
	all []*engine.Change
	ids map[string]struct{}
}

func (in *reader) changes(s *Shape, v reflect.Value, token json.Token, at path) error {
	x := &changesReader{reader: in, ids: make(map[string]struct{})}
	err := in.members(token, at, func(field string, at path) error {
		f := s.Field(field)
		if f == nil {
			return at.errorf("there is no such field")
		}
		return x.group(f.Shape, at)
	})
	v.Set(reflect.ValueOf(x.all))
	return err
}

// group reads the changes of one field.
func (x *changesReader) group(s *Shape, at path) error {
	token, err := x.token(at)
	if err != nil {
		return err
	}
	if s.Kind == Map {
		return x.members(token, at, func(key string, at path) error {
			c, err := x.change(s.Elem, at)
			if err == nil && !isKey(key, c.Key) {
				err = at.key("key").errorf("is %q, but stands below %q", c.Key, key)
			}
			return err
		})
	}
	return x.elements(token, at, func(at path) error {
		_, err := x.change(s.Elem, at)
		return err
	})
}

func (x *changesReader) change(s *Shape, at path) (*engine.Change, error) {
	c := &engine.Change{}
	if err := x.value(s, reflect.ValueOf(c).Elem(), at); err != nil {
		return nil, err
	}
	if c.ID == "" {
		return nil, at.key("id").errorf("is empty")
	}
	if _, ok := x.ids[c.ID]; ok {
		return nil, at.key("id").errorf("%q is another change's too", c.ID)
	}
	x.ids[c.ID] = struct{}{}
	x.all = append(x.all, c)
	return c, nil
}
