package wasm

import "encoding/binary"

// errno is what a WASI call returns.
type errno uint32

// Of WASI's error numbers, those that are used.
const (
	errnoSuccess errno = 0
	errnoBadFile errno = 8
	errnoFault   errno = 21 // a pointer out of memory
	errnoInvalid errno = 28
	errnoPipe    errno = 70 // no place to seek to
)

// wasiFunctions are the calls of WASI preview 1 that a command needs to read its
// input, write its answer and end. There is nothing behind them but the instance:
// no files, no sockets, no environment, no time that passes.
func wasiFunctions() map[string]hostFunction {
	list := map[string]hostFunction{
		"proc_exit": {signature{"i32", ""}, func(_ *instance, a args) { panic(&exitError{a.u32(0)}) }},
	}
	for name, f := range map[string]struct {
		params string
		call   func(*instance, args) errno
	}{
		"args_sizes_get":      {"i32 i32", (*instance).argsSizes},
		"args_get":            {"i32 i32", (*instance).args},
		"environ_sizes_get":   {"i32 i32", (*instance).environSizes},
		"environ_get":         {"i32 i32", succeed},
		"clock_time_get":      {"i32 i64 i32", (*instance).clockTime},
		"clock_res_get":       {"i32 i32", (*instance).clockResolution},
		"random_get":          {"i32 i32", (*instance).randomBytes},
		"sched_yield":         {"", succeed},
		"poll_oneoff":         {"i32 i32 i32 i32", (*instance).poll},
		"fd_read":             {"i32 i32 i32 i32", (*instance).fdRead},
		"fd_write":            {"i32 i32 i32 i32", (*instance).fdWrite},
		"fd_close":            {"i32", (*instance).fdCheck},
		"fd_fdstat_get":       {"i32 i32", (*instance).fdStat},
		"fd_fdstat_set_flags": {"i32 i32", (*instance).fdCheck},
		"fd_seek":             {"i32 i64 i32 i32", (*instance).fdSeek},
		"fd_prestat_get":      {"i32 i32", noFile},
		"fd_prestat_dir_name": {"i32 i32 i32", noFile},
	} {
		list[name] = hostFunction{signature{f.params, "i32"}, func(in *instance, a args) {
			n := f.call(in, a)
			a[0] = uint64(n)
		}}
	}
	return list
}

func succeed(*instance, args) errno { return errnoSuccess }

// noFile answers calls about directories that are open from the start: there are
// none, and with none there is no way to open anything.
func noFile(*instance, args) errno { return errnoBadFile }

// The only argument is the name of the policy.

func (in *instance) argsSizes(a args) errno {
	return in.sizes(a, 1, uint32(len(in.module.config.Name)+1))
}

func (in *instance) environSizes(a args) errno { return in.sizes(a, 0, 0) }

func (in *instance) sizes(a args, count, size uint32) errno {
	if !in.put32(a.u32(0), count) || !in.put32(a.u32(1), size) {
		return errnoFault
	}
	return errnoSuccess
}

func (in *instance) args(a args) errno {
	name := in.module.config.Name
	b, ok := in.touch(a.u32(1), uint32(len(name)+1))
	if !ok || !in.put32(a.u32(0), a.u32(1)) {
		return errnoFault
	}
	b[copy(b, name)] = 0
	return errnoSuccess
}

// The clock advances by a step each time that it is read, so that waiting for it
// ends. It begins anew in each instance, on the first day of the year 2000.
const (
	clockStep  = 1_000_000               // nanoseconds
	clockStart = 946_684_800_000_000_000 // nanoseconds since 1970
	clocks     = 4                       // realtime, monotonic, of the process, of the thread
)

func (in *instance) clockTime(a args) errno {
	if a.u32(0) >= clocks {
		return errnoInvalid
	}
	in.clock += clockStep
	now := in.clock
	if a.u32(0) == 0 {
		now += clockStart
	}
	if !in.put64(a.u32(2), now) {
		return errnoFault
	}
	return errnoSuccess
}

func (in *instance) clockResolution(a args) errno {
	if a.u32(0) >= clocks {
		return errnoInvalid
	}
	if !in.put64(a.u32(1), clockStep) {
		return errnoFault
	}
	return errnoSuccess
}

// randomBytes gives the same bytes in each decision. They are no secret.
func (in *instance) randomBytes(a args) errno {
	b, ok := in.touch(a.u32(0), a.u32(1))
	if !ok {
		return errnoFault
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, in.random.Uint64())
		b = b[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], in.random.Uint64())
	copy(b, last[:])
	return errnoSuccess
}
