package guest

import "iter"

// Text is a string.
func (m Message) Text(number int) string {
	var last string
	for start, end := m.find(0, number, wireBytes); start >= 0; start, end = m.find(end, number, wireBytes) {
		last = text(m.data[start:end])
	}
	return last
}

// Texts are repeated strings.
func (m Message) Texts(number int) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, end := m.find(0, number, wireBytes)
		for start >= 0 && yield(text(m.data[start:end])) {
			start, end = m.find(end, number, wireBytes)
		}
	}
}

// Uint is an unsigned number.
func (m Message) Uint(number int) uint64 {
	var last uint64
	for start, end := m.find(0, number, wireVarint); start >= 0; start, end = m.find(end, number, wireVarint) {
		last, _ = m.varint(start)
	}
	return last
}

// Int is a signed number (int32, int64) or that of an enumerator.
func (m Message) Int(number int) int64 { return int64(m.Uint(number)) }

// Bool is a truth value.
func (m Message) Bool(number int) bool { return m.Uint(number) != 0 }

// Nested is a message within the message. One that is there in pieces is put together.
func (m Message) Nested(number int) Message {
	nested, _ := m.nested(number)
	return nested
}

// Has says whether there is a message of that number; it may be empty.
func (m Message) Has(number int) bool {
	_, ok := m.nested(number)
	return ok
}

func (m Message) nested(number int) (nested Message, ok bool) {
	nested.malformed = m.malformed
	for start, end := m.find(0, number, wireBytes); start >= 0; start, end = m.find(end, number, wireBytes) {
		piece := Message{m.data[start:end:end], m.malformed}
		if !ok {
			nested, ok = piece, true
			continue
		}
		// Two messages behind each other are one, if each is a message by itself.
		if !nested.wellFormed() || !piece.wellFormed() {
			break
		}
		nested.data = append(nested.data, piece.data...)
	}
	return nested, ok
}

func (m *Message) wellFormed() bool {
	m.find(0, 0, 0) // there is no field 0
	return !*m.malformed
}

// Each are repeated messages.
func (m Message) Each(number int) iter.Seq[Message] { return each(m, number, asMessage) }

func asMessage(m Message) Message { return m }

// each are repeated messages, of a type of their own.
func each[M any](m Message, number int, as func(Message) M) iter.Seq[M] {
	return func(yield func(M) bool) {
		start, end := m.find(0, number, wireBytes)
		for start >= 0 && yield(as(Message{m.data[start:end:end], m.malformed})) {
			start, end = m.find(end, number, wireBytes)
		}
	}
}

// Map is a map of strings, nil where it is empty. Its order on the wire is random:
// sort what goes into a message.
func (m Message) Map(number int) map[string]string {
	var entries map[string]string
	for entry := range m.Each(number) {
		if entries == nil {
			entries = map[string]string{}
		}
		entries[entry.Text(1)] = entry.Text(2)
	}
	return entries
}

// OptionalInt is a number in one of NRI's wrappers (OptionalInt, OptionalInt64, ...),
// and whether there is one.
func (m Message) OptionalInt(number int) (int64, bool) {
	wrapper, ok := m.nested(number)
	return wrapper.Int(1), ok
}

// OptionalUint is an unsigned number in one of NRI's wrappers (OptionalUInt64,
// OptionalFileMode, ...), and whether there is one.
func (m Message) OptionalUint(number int) (uint64, bool) {
	wrapper, ok := m.nested(number)
	return wrapper.Uint(1), ok
}

// OptionalText is a string in NRI's wrapper, and whether there is one.
func (m Message) OptionalText(number int) (string, bool) {
	wrapper, ok := m.nested(number)
	return wrapper.Text(1), ok
}
