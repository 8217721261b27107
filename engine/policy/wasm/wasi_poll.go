package wasm

import (
	"encoding/binary"
	"math"
)

// The kinds of subscriptions of poll_oneoff.
const (
	pollClock = iota
	pollRead
	pollWrite
)

// Sizes and flags of WASI's structures.
const (
	subscriptionSize = 48
	eventSize        = 32
	pollAbsolute     = 1
)

// poll answers at once: files are always ready, and where only clocks are waited for
// the clock is put forward to the first of their times.
func (in *instance) poll(a args) errno {
	count := a.u32(2)
	if count == 0 || count > 1<<10 {
		return errnoInvalid
	}
	subscriptions, ok := in.touch(a.u32(0), count*subscriptionSize)
	if !ok {
		return errnoFault
	}
	events, ok := in.touch(a.u32(1), count*eventSize)
	if !ok {
		return errnoFault
	}
	subscriptions = append([]byte(nil), subscriptions...) // they may overlap
	now := in.clock
	in.wait(subscriptions)
	n := uint32(0)
	for s := subscriptions; len(s) > 0; s = s[subscriptionSize:] {
		if due, e := in.ready(s, now); due {
			event := events[n*eventSize:][:eventSize]
			clear(event)
			copy(event, s[:8]) // what the subscriber calls it
			binary.LittleEndian.PutUint16(event[8:], uint16(e))
			event[10] = s[8]
			n++
		}
	}
	if !in.put32(a.u32(3), n) {
		return errnoFault
	}
	return errnoSuccess
}

// wait puts the clock forward, unless something is ready.
func (in *instance) wait(subscriptions []byte) {
	first := uint64(math.MaxUint64)
	for s := subscriptions; len(s) > 0; s = s[subscriptionSize:] {
		if s[8] != pollClock {
			return
		}
		first = min(first, deadline(s, in.clock))
	}
	in.clock = max(in.clock, first)
}

// ready says whether there is something to say of a subscription that was made at a
// time, and what.
func (in *instance) ready(s []byte, then uint64) (bool, errno) {
	switch s[8] {
	case pollClock:
		return deadline(s, then) <= in.clock, errnoSuccess
	case pollRead, pollWrite:
		if binary.LittleEndian.Uint32(s[16:]) >= files {
			return true, errnoBadFile
		}
		return true, errnoSuccess
	}
	return true, errnoInvalid
}

// deadline is when the clock of a subscription is up. It is as long before the end
// of time as the clock needs to go on.
func deadline(s []byte, now uint64) uint64 {
	const end = math.MaxInt64 / 2
	timeout := binary.LittleEndian.Uint64(s[24:])
	if binary.LittleEndian.Uint16(s[40:])&pollAbsolute == 0 {
		return min(now+min(timeout, end), end)
	}
	if binary.LittleEndian.Uint32(s[16:]) == 0 { // the time of day
		timeout -= min(timeout, clockStart)
	}
	return min(timeout, end)
}
