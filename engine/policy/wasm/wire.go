package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wire writes requests so that the same request is always the same bytes: what a
// policy burns depends on them. NRI's own encoder writes maps in the order that Go
// has them, which is a new one each time; protobuf's own sorts them and takes three
// times as long as both together.
type wire struct {
	request *layout
	entries [][]byte // scratch
	sorted  []byte   // scratch
}

// layout says what the fields of a message are, by number.
type layout []fieldLayout

type fieldLayout struct {
	known  bool
	entry  bool    // of a map
	text   bool    // a string
	fields *layout // of a message
}

var errNoText = errors.New("a string in it is no UTF-8")

// requestLayout describes requests. Layouts of messages refer to each other, and none
// to itself, or to one that it is part of.
func requestLayout() *layout {
	return layoutOf((&api.ValidateContainerAdjustmentRequest{}).ProtoReflect().Descriptor(), map[protoreflect.FullName]*layout{})
}

func layoutOf(d protoreflect.MessageDescriptor, done map[protoreflect.FullName]*layout) *layout {
	if l := done[d.FullName()]; l != nil {
		return l
	}
	l := &layout{}
	done[d.FullName()] = l
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		for len(*l) <= int(f.Number()) {
			*l = append(*l, fieldLayout{})
		}
		x := fieldLayout{known: true, entry: f.IsMap(), text: f.Kind() == protoreflect.StringKind}
		if f.Kind() == protoreflect.MessageKind {
			x.fields = layoutOf(f.Message(), done)
		}
		(*l)[f.Number()] = x
	}
	return l
}

// marshal returns the bytes of a request.
func (w *wire) marshal(req *api.ValidateContainerAdjustmentRequest) ([]byte, error) {
	b := make([]byte, req.SizeVT())
	n, err := req.MarshalToSizedBufferVT(b)
	if err != nil {
		return nil, err
	}
	b = b[len(b)-n:]
	err = w.sort(b, w.request)
	clear(w.entries[:cap(w.entries)]) // which are the request's
	return b, err
}

// sort puts the entries of maps in the order of their bytes, in the message and what
// is in it, and holds strings to be UTF-8.
func (w *wire) sort(b []byte, l *layout) error {
	var run, last int // where entries of one map begin, and the field that they are of
	for at := 0; at < len(b); {
		number, content, size := field(b[at:])
		if size == 0 {
			return errors.New("it cannot be written")
		}
		if number != last {
			w.order(b[run:at], l, last)
			run, last = at, number
		}
		at += size
		if number >= len(*l) || content == nil {
			continue
		}
		switch f := (*l)[number]; {
		case f.text && !utf8.Valid(content):
			return fmt.Errorf("%w: %q", errNoText, content[:min(len(content), maxLine)])
		case f.fields != nil:
			if err := w.sort(content, f.fields); err != nil {
				return err
			}
		}
	}
	w.order(b[run:], l, last)
	return nil
}

// order sorts entries of one field, which stand one after the other, if they are of a
// map.
func (w *wire) order(b []byte, l *layout, number int) {
	if number >= len(*l) || !(*l)[number].entry {
		return
	}
	w.entries = w.entries[:0]
	for rest := b; len(rest) > 0; {
		_, _, size := field(rest)
		w.entries = append(w.entries, rest[:size])
		rest = rest[size:]
	}
	if len(w.entries) < 2 {
		return
	}
	slices.SortFunc(w.entries, bytes.Compare)
	w.sorted = w.sorted[:0]
	for _, e := range w.entries {
		w.sorted = append(w.sorted, e...)
	}
	copy(b, w.sorted)
}

// field reads a field: its number, its content if it has a length, and its size, 0
// where it is none.
func field(b []byte) (number int, content []byte, size int) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
		return 0, nil, 0
	}
	number = int(tag >> 3)
	switch tag & 7 {
	case 0:
		_, k := binary.Uvarint(b[n:])
		return number, nil, whole(b, n+max(k, 0), k > 0)
	case 1:
		return number, nil, whole(b, n+8, true)
	case 5:
		return number, nil, whole(b, n+4, true)
	case 2:
		length, k := binary.Uvarint(b[n:])
		if k <= 0 || length > uint64(len(b)-n-k) {
			return 0, nil, 0
		}
		end := n + k + int(length)
		return number, b[n+k : end : end], end
	}
	return 0, nil, 0
}

// whole returns a size that is there, else 0.
func whole(b []byte, size int, ok bool) int {
	if !ok || size > len(b) {
		return 0
	}
	return size
}
