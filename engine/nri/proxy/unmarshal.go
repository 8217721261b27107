package proxy

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxFields is how many fields a message of a plugin may have in all. Two bytes
	// can be a field that takes a hundred in memory. An answer to synchronisation
	// with ten thousand updates has less than a hundred thousand.
	maxFields = 1 << 18
	// fewBytes cannot hold so many that it would matter.
	fewBytes = 64 << 10
)

// unreadableError says that a message of a plugin cannot be read.
type unreadableError struct{ error }

func (e unreadableError) Unwrap() error { return e.error }

// unmarshal reads what a plugin sends. An error is an unreadableError.
func unmarshal(payload []byte, m proto.Message) error {
	about := m.ProtoReflect().Descriptor()
	if len(payload) > fewBytes {
		if left := maxFields; !count(payload, about, &left) {
			return unreadableError{fmt.Errorf("%s has too many fields; at most %d are allowed", about.Name(), maxFields)}
		}
	}
	if err := unmarshalRuntime(payload, m); err != nil {
		return unreadableError{err}
	}
	return nil
}

// unmarshalRuntime reads what the runtime sends, which has as many fields as there are
// containers.
func unmarshalRuntime(payload []byte, m proto.Message) error {
	if err := proto.Unmarshal(payload, m); err != nil {
		return fmt.Errorf("%s cannot be read: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// count takes the number of a message's fields, those of its parts included, from
// what is left, and says whether that was enough. What cannot be read is found when
// it is read.
func count(payload []byte, about protoreflect.MessageDescriptor, left *int) bool {
	for len(payload) > 0 {
		number, kind, n := protowire.ConsumeField(payload)
		if n < 0 {
			return true
		}
		if *left--; *left < 0 {
			return false
		}
		field := about.Fields().ByNumber(number)
		if field != nil && field.Kind() == protoreflect.MessageKind && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(payload)
			part, _ := protowire.ConsumeBytes(payload[tag:])
			if !count(part, field.Message(), left) {
				return false
			}
		}
		payload = payload[n:]
	}
	return true
}
