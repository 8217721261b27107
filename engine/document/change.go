package document

import (
	"fmt"
	"reflect"

	"github.com/nri-guard/nri-guard/engine"
)

// MarshalChange writes a single change as it stands in the document of a review.
// It fails where [Marshal] does.
func MarshalChange(c *engine.Change, o Options) ([]byte, error) {
	w := &writer{mask: mask{on: o.Mask, unmask: o.Unmask}}
	f := ReviewShape().Field("changes").Shape.Field(string(c.Field))
	if f == nil {
		return nil, fmt.Errorf("review document: change %q is of field %q, which does not exist", c.ID, c.Field)
	}
	if err := w.value(f.Shape.Elem, reflect.ValueOf(w.mask.change(c)).Elem()); err != nil {
		return nil, fmt.Errorf("review document: change %q: %w", c.ID, err)
	}
	return w.buf, nil
}
