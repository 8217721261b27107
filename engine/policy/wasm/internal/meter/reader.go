package meter

import (
	"math"
	"unicode/utf8"
)

// A reader decodes the bytes of a module between pos and end. The first error sticks, and from then on everything reads as zero: whoever
// loops over a count has to look at err. Offsets in errors are those of the module.
type reader struct {
	data []byte
	pos  int
	end  int
	file bool // end is the file's
	err  error
}

func (r *reader) fail(offset int, format string, args ...any) {
	if r.err == nil {
		r.err = wrongAt(offset, format, args...)
		r.pos = r.end
	}
}

// short is the error of bytes that are missing: the file's end came too early, or only the section's.
func (r *reader) short() {
	if r.file {
		r.fail(r.end, "%w", ErrTruncated)
		return
	}
	r.fail(r.end, "the content is longer than the size says")
}

func (r *reader) more() bool { return r.err == nil && r.pos < r.end }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.short()
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.end-r.pos {
		r.short()
		return
	}
	r.pos += n
}

// u32 reads an unsigned LEB128 number of at most 32 bits in at most five bytes.
func (r *reader) u32() uint32 {
	start := r.pos
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > math.MaxUint32 {
				r.fail(start, "integer too large")
			}
			return uint32(v)
		}
	}
	r.fail(start, "integer representation too long")
	return 0
}

// signed reads a signed LEB128 number of 32, 33 or 64 bits.
func (r *reader) signed(bits int) int64 {
	start := r.pos
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if rest := bits - shift; rest < 7 {
				r.unusedBits(start, b, rest)
			}
			if s := shift + 7; s < 64 {
				v = v << (64 - s) >> (64 - s)
			}
			return v
		}
	}
	r.fail(start, "integer representation too long")
	return 0
}

// unusedBits holds that in the last byte the bits beyond the number's width repeat its sign.
func (r *reader) unusedBits(start int, last byte, used int) {
	if sign := int8(last<<1) >> used; sign != 0 && sign != -1 {
		r.fail(start, "integer too large")
	}
}

// count reads the number of entries that follow, each of which takes at least one byte.
func (r *reader) count() int {
	start := r.pos
	n := r.u32()
	if uint64(n) > uint64(r.end-r.pos) {
		r.fail(start, "%d entries in %d bytes", n, r.end-r.pos)
		return 0
	}
	return int(n)
}

// index reads an index that has to be below n.
func (r *reader) index(what string, n int) uint32 {
	start := r.pos
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(n) {
		r.fail(start, "unknown %s %d, there are %d", what, i, n)
	}
	return i
}

func (r *reader) name() string {
	start := r.pos
	n := int(r.u32())
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return ""
	}
	s := r.data[from:r.pos]
	if !utf8.Valid(s) {
		r.fail(start, "malformed UTF-8 encoding of a name")
	}
	return string(s)
}

// sub splits the next n bytes off.
func (r *reader) sub(n uint32) reader {
	start := r.pos
	if uint64(n) > uint64(r.end-r.pos) {
		r.short()
		return reader{data: r.data, pos: start, end: start, err: r.err}
	}
	r.pos += int(n)
	return reader{data: r.data, pos: start, end: r.pos}
}
