package meter

import "encoding/binary"

// appendSigned appends a signed LEB128 number.
func appendSigned(b []byte, v int64) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// appendUnsigned appends an unsigned LEB128 number.
func appendUnsigned(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendName(b []byte, name string) []byte {
	return append(appendUnsigned(b, uint64(len(name))), name...)
}

// appendOp appends an instruction with an index.
func appendOp(b []byte, op opcode, index int) []byte {
	return appendUnsigned(append(b, byte(op)), uint64(index))
}

func appendI64(b []byte, v int64) []byte { return appendSigned(append(b, byte(opI64Const)), v) }
func appendI32(b []byte, v int32) []byte { return appendSigned(append(b, byte(opI32Const)), int64(v)) }

// appendSection appends a section with its size.
func appendSection(b []byte, id byte, content []byte) []byte {
	b = append(b, id)
	b = appendUnsigned(b, uint64(len(content)))
	return append(b, content...)
}
