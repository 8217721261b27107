package guest

import "unsafe"

// Message is a protobuf message. Its methods read fields by their numbers in NRI's
// api.proto, also such as have no accessor of their own; only lists of numbers
// (flags of the scheduler and the memory policy, additional groups) are out of reach.
//
// A field of another type than the one asked for is malformed. One that is not there
// is empty. Of a field that is there twice, though there can be only one, the last
// counts, as everywhere in protobuf.
type Message struct {
	data []byte
	// malformed is the request's: set for good by what is not protobuf.
	malformed *bool
}

// The wire types.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// maxField is the highest number that a field can have.
const maxField = 1<<29 - 1

// find finds the first field of a number at or behind an offset, which has to be of
// that wire type, and returns where its value begins and ends; none begins at -1.
//
// It works with offsets, as moving pointers is what is slow in a module made by Go.
func (m *Message) find(at, number, wire int) (start, end int) {
	for at < len(m.data) {
		tag, start := m.varint(at)
		if tag>>3 == 0 || tag>>3 > maxField {
			return m.fail()
		}
		var size uint64
		switch tag & 7 {
		case wireVarint:
			_, at = m.varint(start)
			size = uint64(at - start)
		case wire64:
			size = 8
		case wireBytes:
			size, start = m.varint(start)
		case wire32:
			size = 4
		default:
			return m.fail()
		}
		if *m.malformed || size > uint64(len(m.data)-start) {
			return m.fail()
		}
		at = start + int(size)
		if int(tag>>3) != number {
			continue
		}
		if int(tag&7) != wire {
			return m.fail()
		}
		return start, at
	}
	return -1, at
}

func (m *Message) fail() (start, end int) {
	*m.malformed = true
	return -1, len(m.data)
}

// varint reads a number; most are of one byte.
func (m *Message) varint(at int) (value uint64, end int) {
	if at < len(m.data) && m.data[at] < 0x80 {
		return uint64(m.data[at]), at + 1
	}
	return m.longVarint(at)
}

func (m *Message) longVarint(at int) (value uint64, end int) {
	for i, b := range m.data[at:] {
		if i == 9 && b > 1 {
			break
		}
		value |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return value, at + i + 1
		}
	}
	m.fail()
	return 0, len(m.data)
}

// text is the string at the same place: the memory of a request is written once,
// before it is judged.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
