package proxy

import (
	"errors"
	"slices"
	"sync"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// holdings are what the messages of all plugins take in memory that have not arrived
// whole, and the requests that have not been judged. Where it is too much, the process
// that has most of it loses the connection that has most.
type holdings struct {
	max int

	mu    sync.Mutex
	total int
	all   []*holding // those that hold something, the oldest first
}

// holding is what one connection has of that.
type holding struct {
	in  *holdings
	of  process
	end func(error)

	// These are kept by in.mu.
	bytes int
	lost  bool
}

var errMemory = errors.New("the process has more half messages and requests under way than others, and there is no memory for more")

var _ wire.Memory = (*holding)(nil)

// Take implements [wire.Memory]. After an error the connection has nothing any more.
func (h *holding) Take(n int) error {
	s := h.in
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.lost {
		return errMemory
	}
	if h.bytes == 0 {
		s.all = append(s.all, h)
	}
	h.bytes += n
	s.total += n
	for s.total > s.max {
		o := s.largest()
		o.lose()
		o.end(errMemory)
	}
	if h.lost {
		return errMemory
	}
	return nil
}

// Give implements [wire.Memory].
func (h *holding) Give(n int) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if h.lost {
		return
	}
	h.bytes -= n
	h.in.total -= n
	if h.bytes == 0 {
		h.in.forget(h)
	}
}

// close is for connections that have ended, with half a message perhaps.
func (h *holding) close() {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	if !h.lost {
		h.lose()
	}
}

// lose takes everything from a connection.
func (h *holding) lose() {
	h.lost = true
	h.in.total -= h.bytes
	h.in.forget(h)
}

func (s *holdings) forget(h *holding) {
	if i := slices.Index(s.all, h); i >= 0 {
		s.all = slices.Delete(s.all, i, i+1)
	}
}

// largest returns the largest of the process that has most.
func (s *holdings) largest() *holding {
	processes := map[process]int{}
	for _, h := range s.all {
		processes[h.of] += h.bytes
	}
	first := s.all[0]
	for _, h := range s.all[1:] {
		if n, most := processes[h.of], processes[first.of]; n > most || h.of == first.of && h.bytes > first.bytes {
			first = h
		}
	}
	return first
}
