//go:build wasip1

package guest

import (
	"runtime"
	"unsafe"
)

// registered is the module's validator.
var registered Validator

// lent is the memory that the host has asked for or was answered in, by its address,
// so that it stays until the host gives it back.
var lent = map[uint32][]byte{}

// failure is the bit of an answer's size that says that it is an error's text.
const failure = 1 << 31

// Register makes a validator the module's. It is called where package variables are
// initialised, since nothing else runs in a module before the first request:
//
//	var _ = guest.Register(guest.Validator{Judge: judge})
func Register(v Validator) Validator {
	registered = v
	return v
}

//go:wasmexport malloc
func malloc(size uint32) uint32 { return lend(make([]byte, max(size, 1))) }

//go:wasmexport free
func free(ptr uint32) { delete(lent, ptr) }

//go:wasmexport plugin_validate_container_adjustment
func validate(ptr, size uint32) uint64 {
	// Between two requests nothing but this lets the garbage collector's goroutines
	// run: without it memory grows with each request.
	runtime.Gosched()
	request, err := received(ptr, size)
	if err != nil {
		return failed(err)
	}
	response, err := registered.Answer(request)
	if err != nil {
		return failed(err)
	}
	return answer(response)
}

//go:wasmexport plugin_configure
func configure(ptr, size uint32) uint64 {
	request, err := received(ptr, size)
	if err == nil {
		err = registered.configure(request)
	}
	if err != nil {
		return failed(err)
	}
	return 0
}

// received is what the host has written to memory that it was lent.
func received(ptr, size uint32) ([]byte, error) {
	request := lent[ptr]
	if int64(size) > int64(len(request)) {
		return nil, errMalformed
	}
	return request[:size], nil
}

func lend(b []byte) uint32 {
	ptr := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	lent[ptr] = b
	return ptr
}

// answer lends bytes to the host: their address in the upper half, their size in the
// lower.
func answer(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(lend(b))<<32 | uint64(len(b))
}

func failed(err error) uint64 {
	text := err.Error()
	if text == "" {
		text = "the request could not be judged"
	}
	return answer([]byte(text)) | failure
}
