package wasm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

const wasi = "wasi_snapshot_preview1"

// taken returns an instance of a command, which has two pages of memory.
func taken(t *testing.T) *wasm.Instance {
	t.Helper()
	in, err := mustLoad(t, says(""), wasm.Config{LogLines: 3}).Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in.Begin("the document")
	return in
}

// Numbers of errors, and places.
const (
	success, badFile, fault, invalidArgument, noSeek = 0, 8, 21, 28, 70

	end       = 2 << 16
	list      = 256
	result    = 512
	elsewhere = 1024
)

// What calls answer to arguments that are wrong, and to those that are right. The
// last result is at the address that the call was given.
func TestWASI(t *testing.T) {
	for _, c := range []struct {
		call string
		args []uint64
		want uint64
	}{
		{"args_sizes_get", []uint64{result, result + 4}, success},
		{"args_sizes_get", []uint64{result, end - 3}, fault},
		{"args_sizes_get", []uint64{end, result}, fault},
		{"args_get", []uint64{list, result}, success},
		{"args_get", []uint64{end - 2, result}, fault},
		{"args_get", []uint64{list, end - 6}, fault},
		{"environ_sizes_get", []uint64{result, result + 4}, success},
		{"environ_get", []uint64{end, end}, success}, // there is nothing to write
		{"clock_time_get", []uint64{0, 0, result}, success},
		{"clock_time_get", []uint64{3, 0, result}, success},
		{"clock_time_get", []uint64{4, 0, result}, invalidArgument},
		{"clock_time_get", []uint64{1, 0, end - 7}, fault},
		{"clock_res_get", []uint64{0, result}, success},
		{"clock_res_get", []uint64{9, result}, invalidArgument},
		{"clock_res_get", []uint64{0, 1<<32 - 1}, fault},
		{"random_get", []uint64{result, 11}, success},
		{"random_get", []uint64{result, end}, fault},
		{"random_get", []uint64{1<<32 - 1, 1}, fault},
		{"random_get", []uint64{end, 0}, success},
		{"sched_yield", nil, success},
		{"poll_oneoff", []uint64{0, elsewhere, 0, result}, invalidArgument},
		{"poll_oneoff", []uint64{0, elsewhere, 1 << 20, result}, invalidArgument},
		{"poll_oneoff", []uint64{end - 47, elsewhere, 1, result}, fault},
		{"poll_oneoff", []uint64{elsewhere, end - 31, 1, result}, fault},
		{"poll_oneoff", []uint64{elsewhere, elsewhere, 1, end - 3}, fault},
		{"fd_read", []uint64{0, list, 0, result}, success},
		{"fd_read", []uint64{1, list, 0, result}, badFile},
		{"fd_read", []uint64{3, list, 0, result}, badFile},
		{"fd_read", []uint64{0, end, 1, result}, fault},
		{"fd_read", []uint64{0, list, 1<<16 + 1, result}, invalidArgument},
		{"fd_read", []uint64{0, list, 1<<32 - 1, result}, invalidArgument},
		{"fd_read", []uint64{0, list, 0, end - 1}, fault},
		{"fd_write", []uint64{0, list, 0, result}, badFile},
		{"fd_write", []uint64{1, list, 0, result}, success},
		{"fd_write", []uint64{2, list, 0, result}, success},
		{"fd_write", []uint64{1<<32 - 1, list, 0, result}, badFile},
		{"fd_write", []uint64{1, end - 7, 1, result}, fault},
		{"fd_close", []uint64{2}, success},
		{"fd_close", []uint64{3}, badFile},
		{"fd_fdstat_get", []uint64{1, result}, success},
		{"fd_fdstat_get", []uint64{3, result}, badFile},
		{"fd_fdstat_get", []uint64{0, end - 23}, fault},
		{"fd_fdstat_set_flags", []uint64{0, 4}, success},
		{"fd_fdstat_set_flags", []uint64{7, 4}, badFile},
		{"fd_seek", []uint64{0, 0, 0, result}, noSeek},
		{"fd_seek", []uint64{5, 0, 0, result}, badFile},
		{"fd_prestat_get", []uint64{3, result}, badFile},
		{"fd_prestat_dir_name", []uint64{3, result, 10}, badFile},
	} {
		in := taken(t)
		if got, ended := in.Host(wasi, c.call, c.args...); got != c.want || ended != nil {
			t.Errorf("%s%v = %d, %v, want %d", c.call, c.args, got, ended, c.want)
		}
	}
}

func number(in *wasm.Instance, at uint32) uint32 { return binary.LittleEndian.Uint32(in.Bytes(at, 4)) }
func time64(in *wasm.Instance, at uint32) uint64 { return binary.LittleEndian.Uint64(in.Bytes(at, 8)) }

func call(t *testing.T, in *wasm.Instance, name string, args ...uint64) {
	t.Helper()
	if got, ended := in.Host(wasi, name, args...); got != success || ended != nil {
		t.Fatalf("%s%v = %d, %v", name, args, got, ended)
	}
}

// vector writes a list of parts to memory.
func vector(in *wasm.Instance, parts ...uint32) {
	b := in.Bytes(list, uint32(4*len(parts)))
	for i, p := range parts {
		binary.LittleEndian.PutUint32(b[4*i:], p)
	}
}

func TestWASIArguments(t *testing.T) {
	in := taken(t)
	call(t, in, "args_sizes_get", result, result+4)
	if count, size := number(in, result), number(in, result+4); count != 1 || size != 7 {
		t.Errorf("%d arguments of %d bytes", count, size)
	}
	call(t, in, "args_get", list, result)
	if at := number(in, list); at != result || string(in.Bytes(at, 7)) != "policy\x00" {
		t.Errorf("at %d: %q", at, in.Bytes(at, 7))
	}
	call(t, in, "environ_sizes_get", result, result+4)
	if number(in, result) != 0 || number(in, result+4) != 0 {
		t.Error("there is an environment")
	}
}

// Time goes on by being looked at, and by being waited for.
func TestWASITime(t *testing.T) {
	in := taken(t)
	now := func(clock uint64) uint64 {
		call(t, in, "clock_time_get", clock, 0, result)
		return time64(in, result)
	}
	if got := now(0); got != 946_684_800_001_000_000 {
		t.Errorf("it is %d", got)
	}
	if got := now(1); got != 2_000_000 {
		t.Errorf("the second look says %d", got)
	}
	wait := func(clock uint32, timeout uint64, flags uint16) {
		s := in.Bytes(elsewhere, 48)
		clear(s)
		binary.LittleEndian.PutUint64(s, 77)
		binary.LittleEndian.PutUint32(s[16:], clock)
		binary.LittleEndian.PutUint64(s[24:], timeout)
		binary.LittleEndian.PutUint16(s[40:], flags)
		call(t, in, "poll_oneoff", elsewhere, elsewhere, 1, result) // events over subscriptions
		if n, whose := number(in, result), time64(in, elsewhere); n != 1 || whose != 77 {
			t.Errorf("%d events, of %d", n, whose)
		}
	}
	for _, c := range []struct {
		clock   uint32
		timeout uint64
		flags   uint16
		want    uint64 // as the monotonic clock then says
	}{
		{1, 1_000_000_000, 0, 1_003_000_000},
		{1, 5_000_000_000, 1, 5_001_000_000},
		{1, 1, 1, 5_002_000_000},                             // in the past
		{0, 946_684_800_000_000_000 + 6e9, 1, 6_001_000_000}, // the time of day
		{0, 7, 1, 6_002_000_000},                             // before the beginning
		{1, 1<<64 - 1, 0, 1<<62 - 1 + 1_000_000},             // for ever
		{1, 1<<64 - 1, 0, 1<<62 - 1 + 2_000_000},
	} {
		wait(c.clock, c.timeout, c.flags)
		if got := now(1); got != c.want {
			t.Errorf("after waiting for %d (%d): %d, want %d", c.timeout, c.flags, got, c.want)
		}
	}
}

// Files are always ready, so that nobody waits for a clock then.
func TestWASIPollFiles(t *testing.T) {
	in := taken(t)
	s := in.Bytes(elsewhere, 4*48)
	clear(s)
	binary.LittleEndian.PutUint64(s[24:], 1e9) // a clock
	s[48+8] = 1                                // to read from file 0
	s[96+8], s[96+16] = 2, 9                   // to write to file 9
	s[144+8] = 200                             // nothing that there is
	call(t, in, "poll_oneoff", elsewhere, 4096, 4, result)
	if n := number(in, result); n != 3 {
		t.Fatalf("%d events", n)
	}
	for i, want := range []uint16{success, badFile, invalidArgument} {
		if got := binary.LittleEndian.Uint16(in.Bytes(uint32(4096+32*i+8), 2)); got != want {
			t.Errorf("event %d: %d, want %d", i, got, want)
		}
	}
}

func TestWASIFiles(t *testing.T) {
	in := taken(t)
	vector(in, elsewhere, 4, elsewhere+100, 0, elsewhere+4, 100)
	call(t, in, "fd_read", 0, list, 3, result)
	if n := number(in, result); n != 12 || string(in.Bytes(elsewhere, 12)) != "the document" {
		t.Errorf("%d bytes: %q", n, in.Bytes(elsewhere, 12))
	}
	call(t, in, "fd_read", 0, list, 3, result)
	if n := number(in, result); n != 0 {
		t.Errorf("%d bytes behind the end", n)
	}
	vector(in, elsewhere, 3, elsewhere+4, 8)
	call(t, in, "fd_write", 1, list, 2, result)
	if n := number(in, result); n != 11 || in.Output() != "thedocument" {
		t.Errorf("%d bytes: %q", n, in.Output())
	}
	vector(in, elsewhere, 3, end-1, 2)
	if got, _ := in.Host(wasi, "fd_write", 1, list, 2, result); got != fault || in.Output() != "thedocument" {
		t.Errorf("%d, %q: a part is out of memory, and something is written", got, in.Output())
	}
}

// Reading may overwrite the list of parts that is being read to.
func TestWASIReadOverList(t *testing.T) {
	in := taken(t)
	in.Begin("\xff\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 100))
	vector(in, list+8, 8, elsewhere, 10)
	if got, ended := in.Host(wasi, "fd_read", 0, list, 2, result); got != fault || ended != nil {
		t.Errorf("%d, %v", got, ended)
	}
}

// Randomness is the same in each decision, and bytes are as many as were asked for.
func TestWASIRandom(t *testing.T) {
	in := taken(t)
	var first []byte
	for range 3 {
		in.Begin("")
		clear(in.Bytes(result, 32))
		call(t, in, "random_get", result, 19)
		got := bytes.Clone(in.Bytes(result, 32))
		if !bytes.Equal(got[19:], make([]byte, 13)) || bytes.Equal(got[:8], got[8:16]) {
			t.Errorf("%x", got)
		}
		if first == nil {
			first = got
		}
		if !bytes.Equal(first, got) {
			t.Errorf("%x and then %x", first, got)
		}
	}
}

// Lines are bounded in number and length, and hold nothing that a terminal obeys.
func TestPrinted(t *testing.T) {
	in := taken(t)
	text := "one\ntwo\x1b[31m\xff\n" + strings.Repeat("x", 600) + "\nfour\n"
	copy(in.Bytes(elsewhere, uint32(len(text))), text)
	vector(in, elsewhere, 2, elsewhere+2, uint32(len(text)-2))
	call(t, in, "fd_write", 2, list, 2, result)
	want := fmt.Sprint([]string{"one", "two\uFFFD[31m\uFFFD", strings.Repeat("x", 512), "(more)"})
	if got := fmt.Sprint(in.Printed()); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	in.Begin("")
	b, err := (&api.LogRequest{Msg: "hello\nworld", Level: api.LogRequest_LEVEL_WARN}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	copy(in.Bytes(elsewhere, uint32(len(b))), b)
	if got, ended := in.Host("env", "log", elsewhere, uint64(len(b))); got != 0 || ended != nil || fmt.Sprint(in.Printed()) != "[hello\uFFFDworld]" {
		t.Errorf("%d, %v, %q", got, ended, in.Printed())
	}
	for _, bad := range [][]uint64{{elsewhere, uint64(len(b) - 1)}, {end, 1}, {0, 65537}, {1<<32 - 1, 1<<32 - 1}} {
		if _, ended := in.Host("env", "log", bad...); fmt.Sprint(ended) != noLogRequest {
			t.Errorf("%v: %v", bad, ended)
		}
	}
}

const noLogRequest = "it logged what is no LogRequest of NRI, of at most 65536 bytes"

// What protobuf forgives in a LogRequest is forgiven.
func TestLogRequest(t *testing.T) {
	for name, c := range map[string]struct{ request, want string }{
		"nothing":              {"", "[]"},
		"other fields":         {"\x18\x01\x22\x01x\x0a\x02hi\x3d1234\x41" + "12345678", "[hi]"},
		"a group":              {"\x1b\x08\x01\x1c\x0a\x02hi", ""},
		"the message twice":    {"\x0a\x01a\x0a\x01b", "[b]"},
		"a level of ten bytes": {"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a\x01a", "[a]"},
		"many fields":          {strings.Repeat("\x18\x18", 30_000) + "\x0a\x01a", "[a]"},
		"field 0":              {"\x00\x00", ""},
		"a message as number":  {"\x08\x01", ""},
		"a level as text":      {"\x12\x01a", ""},
		"cut off":              {"\x0a\x05abcd", ""},
		"half a number":        {"\x10\xff", ""},
		"half a group":         {"\x1b\x08\x01", ""},
	} {
		in := taken(t)
		copy(in.Bytes(elsewhere, uint32(len(c.request))), c.request)
		before := in.Burnt()
		_, ended := in.Host("env", "log", elsewhere, uint64(len(c.request)))
		if c.want == "" && fmt.Sprint(ended) != noLogRequest || c.want != "" && (ended != nil || fmt.Sprint(in.Printed()) != c.want && len(in.Printed()[0]) > 0) {
			t.Errorf("%s: %v, %q", name, ended, in.Printed())
		}
		if burnt, want := in.Burnt()-before, 2*uint64(len(c.request)); burnt != want {
			t.Errorf("%s: burnt %d, want %d", name, burnt, want)
		}
	}
}

// Each byte that the host touches is paid for.
func TestHostFuel(t *testing.T) {
	in := taken(t)
	for _, c := range []struct {
		call string
		args []uint64
		want uint64
	}{
		{"random_get", []uint64{0, 1000}, 1000},
		{"fd_fdstat_get", []uint64{1, result}, 24},
		{"poll_oneoff", []uint64{elsewhere, elsewhere, 10, result}, 10 * (48 + 32)},
	} {
		before := in.Burnt()
		call(t, in, c.call, c.args...)
		if got := in.Burnt() - before; got != c.want {
			t.Errorf("%s: %d, want %d", c.call, got, c.want)
		}
	}
}
