package wasm

import "encoding/binary"

// The files that are open.
const (
	stdin = iota
	stdout
	stderr
	files
)

// isFile says whether the first argument is an open file. Closing one does nothing.
func isFile(a args) bool { return a.u32(0) < files }

func (in *instance) fdCheck(a args) errno {
	if !isFile(a) {
		return errnoBadFile
	}
	return errnoSuccess
}

func (in *instance) fdSeek(a args) errno {
	if !isFile(a) {
		return errnoBadFile
	}
	return errnoPipe
}

// fdStat describes an open file: of unknown type, to read from or to write to.
func (in *instance) fdStat(a args) errno {
	const mayRead, mayWrite = 1 << 1, 1 << 6
	if !isFile(a) {
		return errnoBadFile
	}
	b, ok := in.touch(a.u32(1), 24)
	if !ok {
		return errnoFault
	}
	clear(b)
	rights := uint64(mayWrite)
	if a.u32(0) == stdin {
		rights = mayRead
	}
	binary.LittleEndian.PutUint64(b[8:], rights)
	return errnoSuccess
}

// fdRead reads from standard input, where a command finds the review document.
func (in *instance) fdRead(a args) errno {
	if a.u32(0) != stdin {
		return errnoBadFile
	}
	var n uint32
	e := in.vectors(a, func(b []byte) {
		k := copy(b, in.input)
		in.charge(uint64(k))
		in.input = in.input[k:]
		n += uint32(k)
	})
	if e == errnoSuccess && !in.put32(a.u32(3), n) {
		return errnoFault
	}
	return e
}

// fdWrite writes to standard output, which is a command's answer, or to standard
// error, which is logged. What a module of NRI's convention prints is logged.
func (in *instance) fdWrite(a args) errno {
	to := a.u32(0)
	if to != stdout && to != stderr {
		return errnoBadFile
	}
	answers := to == stdout && in.module.abi == abiCommand
	var n uint32
	e := in.vectors(a, func(b []byte) {
		in.charge(uint64(len(b)))
		n += uint32(len(b))
		if !answers {
			in.printed.write(b)
			return
		}
		if len(in.output)+len(b) > in.module.config.AnswerBytes {
			panic(errLongAnswer)
		}
		in.output = append(in.output, b...)
	})
	if e == errnoSuccess && !in.put32(a.u32(3), n) {
		return errnoFault
	}
	return e
}

// vectors calls f for each part of memory that a list names, which is in the second
// and third argument. A list with a part out of memory is refused as a whole.
func (in *instance) vectors(a args, f func([]byte)) errno {
	const size = 8 // pointer and length
	list, count := a.u32(1), a.u32(2)
	if count > 1<<16 {
		return errnoInvalid
	}
	b, ok := in.touch(list, count*size)
	if !ok {
		return errnoFault
	}
	parts := func(f func([]byte)) bool {
		for i := 0; i < len(b); i += size {
			part, ok := in.view(binary.LittleEndian.Uint32(b[i:]), binary.LittleEndian.Uint32(b[i+4:]))
			if !ok {
				return false
			}
			f(part)
		}
		return true
	}
	if !parts(func([]byte) {}) {
		return errnoFault
	}
	// What is read may overwrite the list: it is looked at anew, part by part.
	if !parts(f) {
		return errnoFault
	}
	return errnoSuccess
}
