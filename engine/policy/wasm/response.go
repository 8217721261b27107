package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The fields of a ValidateContainerAdjustmentResponse, as protobuf writes number and
// type.
const (
	fieldReject = 1 << 3
	fieldReason = 2<<3 | 2
)

var errCutOff = errors.New("it is cut off")

// readResponse reads a ValidateContainerAdjustmentResponse. It is stricter than
// protobuf: what the message has no place for, or what stands there twice, could
// hide an objection.
func readResponse(b []byte) (reject bool, reason string, err error) {
	var seen [3]bool
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return false, "", errCutOff
		}
		if tag != fieldReject && tag != fieldReason {
			return false, "", fmt.Errorf("it has a field %d of type %d, which is not known", tag>>3, tag&7)
		}
		if seen[tag>>3] {
			return false, "", fmt.Errorf("field %d stands there twice", tag>>3)
		}
		seen[tag>>3] = true
		value, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return false, "", errCutOff
		}
		b = b[n+k:]
		if tag == fieldReject {
			if value > 1 {
				return false, "", fmt.Errorf("reject is %d", value)
			}
			reject = value == 1
			continue
		}
		if value > uint64(len(b)) {
			return false, "", errCutOff
		}
		text := b[:value]
		if !utf8.Valid(text) {
			return false, "", errors.New("the reason is no UTF-8")
		}
		reason, b = string(text), b[value:]
	}
	return reject, reason, nil
}
