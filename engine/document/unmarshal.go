package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/nri-guard/nri-guard/engine"
)

// Unmarshal reads a review document. It is strict: an unknown key, a key that
// stands twice, a value of the wrong type, a missing key of one of the engine's own
// types, a change whose id is missing or not unique are errors that name the place.
// (Keys of NRI's messages may be missing, as in the logs of a build that knew fewer
// of them.) What effective says is checked for its form and then left out.
//
// The review can be stripped: by its changes alone, without the messages that they
// once were made of. A change of a container other than the one under review
// belongs to no known pod, so that nothing that depends on a namespace applies to it.
func Unmarshal(data []byte) (*engine.Review, error) {
	r := &engine.Review{}
	in := newReader(bytes.NewReader(data))
	if err := in.document(r); err != nil {
		return nil, fmt.Errorf("review document: %w", err)
	}
	if r.Version != engine.Version {
		return nil, fmt.Errorf("review document: version: is %d, this build reads %d", r.Version, engine.Version)
	}
	complete(r)
	return r, nil
}

func (in *reader) document(r *engine.Review) error {
	if err := in.value(ReviewShape(), reflect.ValueOf(r).Elem(), nil); err != nil {
		return err
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// complete derives what the document does not say.
func complete(r *engine.Review) {
	r.Strip = strip
	if holdsNothing(r.Pod) {
		r.Pod = nil
	}
	if holdsNothing(r.Container) {
		r.Container = nil
	}
	type list struct {
		container, key string
		field          engine.Field
	}
	positions := make(map[list]int)
	for _, c := range r.Changes {
		if c.Container == r.Container.GetId() {
			c.Pod = r.Pod
		}
		at := list{c.Container, c.Key, c.Field}
		c.Position = positions[at]
		positions[at]++
		c.Value, c.Old = present(c)
		c.ImpliedBy = impliedBy(r, c)
	}
}

// present takes away the zero values that stand in the document where there is no
// value.
func present(c *engine.Change) (value, old any) {
	value, old = c.Value, c.Old
	if c.Op == engine.Remove && holdsNothing(value) {
		value = nil
	}
	if c.Op == engine.Add && holdsNothing(old) {
		old = nil
	}
	return value, old
}

// holdsNothing says whether a value is what stands in the document for none.
func holdsNothing(value any) bool {
	v := reflect.Indirect(reflect.ValueOf(value))
	if v.Kind() != reflect.Struct {
		return empty(v)
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() && !empty(v.Field(i)) {
			return false
		}
	}
	return true
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Invalid:
		return true
	}
	return v.IsZero()
}

// impliedBy finds the device that the runtime adds a rule for by itself.
func impliedBy(r *engine.Review, c *engine.Change) string {
	rule, ok := c.Value.(*engine.DeviceRule)
	if !ok || !rule.Allow || rule.Major == nil || rule.Minor == nil {
		return ""
	}
	for _, d := range r.Changes {
		if v, ok := d.Value.(*engine.Device); ok && d.Container == c.Container &&
			v.Type == rule.Type && v.Major == *rule.Major && v.Minor == *rule.Minor {
			return d.Key
		}
	}
	return ""
}
