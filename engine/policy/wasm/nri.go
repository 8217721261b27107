package wasm

import (
	"errors"
	"fmt"
	"strconv"

	nri "github.com/containerd/nri/pkg/api"
	"github.com/tetratelabs/wazero/api"
)

// errorText marks, in the length of an answer, that it is the text of an error.
const errorText = 1 << 31

// exchange hands a message to a function of the module and has read look at the
// answer, of which nothing may be kept. The module's memory is freed in NRI's order.
func (in *instance) exchange(f api.Function, request []byte, read func(answer []byte) error) error {
	ptr, err := in.hand(request)
	if err != nil {
		return err
	}
	packed, err := in.call(f, uint64(ptr), uint64(len(request)))
	if err != nil {
		return err
	}
	at, size := uint32(packed>>32), uint32(packed)
	if err := in.read(at, size, read); err != nil {
		return err
	}
	for _, p := range []uint32{at, ptr} {
		if p == 0 {
			continue
		}
		if _, err := in.call(in.free, uint64(p)); err != nil {
			return err
		}
	}
	return nil
}

// hand writes a message to the module's memory, where the module says.
func (in *instance) hand(request []byte) (ptr uint32, err error) {
	if len(request) == 0 {
		return 0, nil
	}
	result, err := in.call(in.malloc, uint64(len(request)))
	if err != nil {
		return 0, err
	}
	if ptr = uint32(result); ptr == 0 {
		return 0, fmt.Errorf("its malloc had no %d bytes for the request%s", len(request), in.memoryHint())
	}
	b, ok := in.view(ptr, uint32(len(request)))
	if !ok {
		return 0, fmt.Errorf("its malloc returned %d bytes at %#x, which are not all in its memory of %d bytes", len(request), ptr, in.memory.Size())
	}
	copy(b, request)
	return ptr, nil
}

func (in *instance) read(ptr, size uint32, read func([]byte) error) error {
	failed := size&errorText != 0
	size &^= errorText
	if most := in.module.config.AnswerBytes; uint64(size) > uint64(most) {
		return fmt.Errorf("%w (%d bytes)", errLongAnswer, size)
	}
	answer, ok := in.view(ptr, size)
	switch {
	case !ok:
		return fmt.Errorf("its answer of %d bytes at %#x is not all in its memory of %d bytes", size, ptr, in.memory.Size())
	case failed:
		return fmt.Errorf("it answers with an error: %s", quoted(answer))
	}
	return read(answer)
}

// quoted shows what a module wrote instead of an answer.
func quoted(b []byte) string { return strconv.Quote(clean(string(b[:min(len(b), maxLine)]), maxLine)) }

// configure tells the module what the configuration has for it. It must mean to
// validate adjustments: a plugin for other events would let everything pass.
func (in *instance) configure(f api.Function) error {
	c := &in.module.config
	request, err := (&nri.ConfigureRequest{Config: c.Configuration, RuntimeName: "nri-guard"}).MarshalVT()
	if err != nil {
		return err
	}
	if len(request) > c.RequestBytes {
		return fmt.Errorf("the config has %d bytes, more than the %d that requestBytes allows", len(request), c.RequestBytes)
	}
	return in.exchange(f, request, func(answer []byte) error {
		var response nri.ConfigureResponse
		if err := response.UnmarshalVT(answer); err != nil {
			return fmt.Errorf("the answer is no ConfigureResponse: %w", err)
		}
		events := nri.EventMask(response.GetEvents())
		if events != 0 && !events.IsSet(nri.Event_VALIDATE_CONTAINER_ADJUSTMENT) {
			return errors.New("the module subscribes to other events than ValidateContainerAdjustment: it validates nothing")
		}
		return nil
	})
}
