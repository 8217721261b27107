package proxy

import (
	"errors"
	"sync"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// asks are the requests that a plugin has made of the runtime. They are judged
// side by side, so that one may overtake another, and ttrpc wants the numbers of
// requests to go up: they get new ones on the way.
type asks struct {
	maxCount, maxBytes int
	// memory is what those come out of that are being judged.
	memory wire.Memory

	// sending keeps requests in the order of their numbers. It may be held for as
	// long as the runtime does not read; mu is not.
	sending sync.Mutex

	mu sync.Mutex
	// judging counts requests that have no number yet, and bytes how large they are.
	judging, bytes int
	last           uint32
	numbers        map[uint32]ask
}

// ask is a request that is under way.
type ask struct {
	stream   uint32 // the plugin's own number for it
	register bool
}

var errTooMany = errors.New("too many requests are under way")

// begin makes room for a request of the given size.
func (a *asks) begin(size int) error {
	if err := a.count(size); err != nil {
		return err
	}
	return a.memory.Take(size)
}

func (a *asks) count(size int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.judging+len(a.numbers) >= a.maxCount || a.judging > 0 && a.bytes+size > a.maxBytes {
		return errTooMany
	}
	a.judging++
	a.bytes += size
	return nil
}

// drop gives the room back of a request that is not relayed.
func (a *asks) drop(size int) {
	a.memory.Give(size)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.judging--
	a.bytes -= size
}

// number gives a request its new number and calls send with it, before any other
// request is sent.
func (a *asks) number(k ask, size int, send func(stream uint32) error) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	stream, err := a.next(k, size)
	if err != nil {
		return err
	}
	return send(stream)
}

func (a *asks) next(k ask, size int) (uint32, error) {
	a.memory.Give(size)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.judging--
	a.bytes -= size
	if a.last > 1<<32-4 {
		return 0, errors.New("there are no more numbers for requests")
	}
	if a.last == 0 {
		a.last = 1
	} else {
		a.last += 2
	}
	if a.numbers == nil {
		a.numbers = map[uint32]ask{}
	}
	a.numbers[a.last] = k
	return a.last, nil
}

// answered returns the request that has the number, and forgets it.
func (a *asks) answered(number uint32) (ask, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.numbers[number]
	delete(a.numbers, number)
	return k, ok
}

// idle says whether nothing is under way.
func (a *asks) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.judging+len(a.numbers) == 0
}
