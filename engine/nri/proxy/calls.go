package proxy

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// maxCalls is how many of the runtime's requests are kept in mind for a plugin.
// NRI makes one at a time; more pile up where a plugin answers late and is kept
// connected nevertheless.
const maxCalls = 64

// call is a request of the runtime that the plugin has not answered yet.
type call struct {
	name   string
	method *method
	// request reads what the plugin was asked, before anything was hidden; nil where
	// that does not matter.
	request func() (proto.Message, error)
	// answer relays the answer, once; it is there when that is judged.
	answer func(*answer) error
	// deadline is when the runtime waits no longer, zero where it did not say.
	deadline time.Time
}

// reading returns a function that reads a message the first time it is called.
func reading(empty func() proto.Message, payload []byte) func() (proto.Message, error) {
	return sync.OnceValues(func() (proto.Message, error) {
		m := empty()
		return m, unmarshalRuntime(payload, m)
	})
}

// asked returns what the plugin was asked.
func asked[M proto.Message](c *call) (M, error) {
	var none M
	m, err := c.request()
	if err != nil {
		return none, err
	}
	return m.(M), nil
}

// calls are the runtime's requests by their number.
type calls struct {
	mu   sync.Mutex
	last uint32
	open map[uint32]*call
}

func (s *calls) add(stream uint32, c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream%2 != 1 || stream <= s.last {
		return fmt.Errorf("a request has the number %d after %d; numbers are odd and go up", stream, s.last)
	}
	if s.open == nil {
		s.open = map[uint32]*call{}
	}
	if len(s.open) >= maxCalls {
		oldest := stream
		for n := range s.open {
			oldest = min(oldest, n)
		}
		delete(s.open, oldest)
	}
	s.last = stream
	s.open[stream] = c
	return nil
}

// take returns the call that is being answered and forgets it; nil where it is
// forgotten already. An answer to what was never asked is an error.
func (s *calls) take(stream uint32) (*call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream%2 != 1 || stream > s.last {
		return nil, fmt.Errorf("it answers request %d, which was never made", stream)
	}
	c := s.open[stream]
	delete(s.open, stream)
	return c, nil
}

// idle says whether nothing is under way.
func (s *calls) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) == 0
}
