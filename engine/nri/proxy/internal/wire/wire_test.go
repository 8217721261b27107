package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/nri/pkg/net/multiplex"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

const (
	plugin  = multiplex.PluginServiceConn
	runtime = multiplex.RuntimeServiceConn
)

func message(conn multiplex.ConnID, stream uint32, size int) wire.Message {
	return wire.Message{Conn: conn, Stream: stream, Type: wire.Request, Flags: 1, Payload: bytes.Repeat([]byte{byte(stream)}, size)}
}

// frame is a frame of the multiplexer with any data.
func frame(conn uint32, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, conn)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// raw is a message of ttrpc whose header announces a size.
func raw(announced, stream uint32, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, announced)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(append(b, byte(wire.Response), 0), data...)
}

func equal(a, b wire.Message) bool {
	return a.Conn == b.Conn && a.Stream == b.Stream && a.Type == b.Type && a.Flags == b.Flags && bytes.Equal(a.Payload, b.Payload)
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var sent []wire.Message
	for i, size := range []int{0, 1, 10, 4085, 4086, 4087, 4096, 5000, 8181, 8182, 8183, 70_000, wire.MaxPayload} {
		sent = append(sent, message(plugin, uint32(2*i+1), size), message(runtime, uint32(2*i+1), size/2))
	}
	var b bytes.Buffer
	w := wire.NewWriter(&b, 0)
	for _, m := range sent {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	for name, source := range map[string]io.Reader{
		"at once":       bytes.NewReader(b.Bytes()),
		"in halves":     iotest.HalfReader(bytes.NewReader(b.Bytes())),
		"end with data": iotest.DataErrReader(bytes.NewReader(b.Bytes())),
	} {
		r := wire.NewReader(source)
		for i, want := range sent {
			got, err := r.Read()
			if err != nil || !equal(got, want) {
				t.Fatalf("%s: message %d of %d bytes came as one of %d bytes, error %v", name, i, len(want.Payload), len(got.Payload), err)
			}
		}
		if _, err := r.Read(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: error %v at the end", name, err)
		}
	}
}

// NRI's own multiplexer is at the other end, with the buffers that ttrpc reads
// through.
func TestNRIReadsWhatIsWritten(t *testing.T) {
	ours, theirs := net.Pipe()
	mux := multiplex.Multiplex(theirs)
	t.Cleanup(func() { _ = mux.Close() })
	conn, err := mux.Open(plugin)
	if err != nil {
		t.Fatal(err)
	}
	w := wire.NewWriter(ours, time.Minute)
	for _, size := range []int{0, 4086, 4087, 4096, 6000, 1 << 20} {
		go w.Write(message(plugin, 1, size)) //nolint:errcheck // what is missing is noticed below
		var got []byte
		buffer := make([]byte, wire.MaxPayload)
		first := true
		for len(got) < 10+size {
			// The first read is ttrpc's of a header, through a buffer of 4096 bytes.
			room := buffer
			if first {
				room = buffer[:4096:4096]
				first = false
			}
			n, err := conn.Read(room)
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			got = append(got, room[:n]...)
		}
		if binary.BigEndian.Uint32(got) != uint32(size) || !bytes.Equal(got[10:], message(plugin, 1, size).Payload) {
			t.Errorf("%d bytes came as something else", size)
		}
	}
}

func TestFramesNeedNotBeMessages(t *testing.T) {
	first, second := raw(5, 3, "hello"), raw(0, 5, "")
	for name, input := range map[string][]byte{
		"one by one": func() (b []byte) {
			for _, c := range append(bytes.Clone(first), second...) {
				b = append(b, frame(1, []byte{c})...)
			}
			return b
		}(),
		"two in one":        frame(1, append(bytes.Clone(first), second...)),
		"with empty ones":   append(append(frame(1, nil), frame(1, first)...), append(frame(2, nil), frame(1, second)...)...),
		"mixed with others": append(append(append(append(frame(1, first[:4]), frame(2, first[:12])...), frame(1, first[4:])...), frame(2, first[12:])...), frame(1, second)...),
	} {
		t.Run(name, func(t *testing.T) {
			r := wire.NewReader(bytes.NewReader(input))
			var got []string
			for {
				m, err := r.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if m.Conn == plugin {
					got = append(got, string(m.Payload)+"/"+string(rune('0'+m.Stream)))
				}
			}
			if strings.Join(got, " ") != "hello/3 /5" {
				t.Errorf("messages %q", got)
			}
		})
	}
}

func TestBreaches(t *testing.T) {
	for _, tt := range []struct {
		name  string
		input []byte
		limit int
		want  string
	}{
		{name: "connection 0", input: frame(0, []byte("x")), want: "connection 0, which does not exist"},
		{name: "connection 3", input: frame(3, nil), want: "connection 3, which does not exist"},
		{name: "a connection that is -1", input: frame(1<<32-1, nil), want: "connection 4294967295, which does not exist"},
		{name: "a frame over the limit", input: []byte{0, 0, 0, 1, 0, 0x40, 0, 11}, want: "a frame of 4194315 bytes; at most 4194314"},
		{name: "a frame of 4 GiB", input: []byte{0, 0, 0, 1, 255, 255, 255, 255}, want: "a frame of 4294967295 bytes"},
		{name: "a message over the limit, and the end", input: frame(1, raw(wire.MaxPayload+1, 1, "")), want: "unexpected EOF"},
		{name: "a message of 4 GiB, and the end", input: frame(1, raw(1<<32-1, 1, "xyz")), want: "unexpected EOF"},
		{name: "a message of 4 GiB over a narrower limit", input: frame(1, raw(1<<32-1, 1, "")), limit: 100, want: "a message of 4294967295 bytes; at most 100"},
		{name: "a message over a narrower limit", input: frame(1, raw(101, 1, "")), limit: 100, want: "a message of 101 bytes; at most 100"},
		{name: "the end in a frame's header", input: []byte{0, 0, 0}, want: "unexpected EOF"},
		{name: "the end in a frame", input: frame(1, raw(5, 1, "hello"))[:20], want: "unexpected EOF"},
		{name: "the end between frames, in a message", input: frame(1, raw(5, 1, "hel")), want: "unexpected EOF"},
		{name: "the end between frames, in a header", input: frame(2, []byte{0, 0, 0}), want: "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := wire.NewReader(bytes.NewReader(tt.input))
			if tt.limit != 0 {
				r.Limit(tt.limit)
			}
			_, err := r.Read()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
		})
	}
}

// What ttrpc would skip is skipped, and what follows is read.
func TestTooLongToRead(t *testing.T) {
	const size = wire.MaxPayload + 1
	long := append(raw(size, 3, ""), bytes.Repeat([]byte{'x'}, size)...)
	var input []byte
	for rest := long; len(rest) > 0; {
		n := min(len(rest), 1<<20)
		input = append(append(input, frame(1, rest[:n])...), frame(2, raw(0, 1, ""))...)
		rest = rest[n:]
	}
	input = append(input, frame(1, raw(5, 5, "hello"))...)
	r := wire.NewReader(bytes.NewReader(input))
	var got []wire.Message
	for {
		m, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Conn == plugin {
			got = append(got, m)
		}
	}
	if len(got) != 2 || got[0].Stream != 3 || got[0].TooLong != size || got[0].Payload != nil ||
		got[1].Stream != 5 || got[1].TooLong != 0 || string(got[1].Payload) != "hello" {
		t.Errorf("messages %+v", got)
	}
}

func TestTooLongToWrite(t *testing.T) {
	var b bytes.Buffer
	err := wire.NewWriter(&b, 0).Write(message(plugin, 1, wire.MaxPayload+1))
	var long *wire.TooLongError
	if !errors.As(err, &long) || long.Length != wire.MaxPayload+1 || b.Len() != 0 {
		t.Errorf("error %v, %d bytes written", err, b.Len())
	}
}

// Memory grows with what has arrived, not with what was announced.
func TestAnnouncementsCostNothing(t *testing.T) {
	input := frame(1, raw(wire.MaxPayload, 1, ""))
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	if _, err := wire.NewReader(bytes.NewReader(input)).Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	goruntime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 512<<10 {
		t.Errorf("%d bytes are taken for a message of which nothing has come", taken)
	}
}

func TestWriterGivesUpOnWhoDoesNotRead(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	var timeout net.Error
	if err := wire.NewWriter(ours, time.Millisecond).Write(message(plugin, 1, 10)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("error %v", err)
	}
}

// FuzzReader holds that whatever is read is what would be written, and that a
// reader never takes more than its limit.
func FuzzReader(f *testing.F) {
	f.Add(frame(1, raw(5, 3, "hello")))
	f.Add(append(frame(2, raw(2, 1, "h")), frame(2, []byte("i"))...))
	f.Add([]byte{0, 0, 0, 1, 255, 255, 255, 255})
	f.Add(frame(1, raw(1<<31, 1, "")))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := wire.NewReader(bytes.NewReader(input))
		r.Limit(1 << 16)
		var again bytes.Buffer
		w := wire.NewWriter(&again, 0)
		var read []wire.Message
		for {
			m, err := r.Read()
			if err != nil {
				break
			}
			if len(m.Payload) > 1<<16 {
				t.Fatalf("a message of %d bytes", len(m.Payload))
			}
			read = append(read, m)
			if err := w.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		r = wire.NewReader(&again)
		for i, want := range read {
			if got, err := r.Read(); err != nil || !equal(got, want) {
				t.Fatalf("message %d came as %+v, error %v", i, got, err)
			}
		}
	})
}

// purse is memory of which there is so much.
type purse struct{ left, most, taken int }

var errPurse = errors.New("empty")

func (p *purse) Take(n int) error {
	if n > p.left {
		return errPurse
	}
	p.left -= n
	p.taken += n
	p.most = max(p.most, p.taken)
	return nil
}

func (p *purse) Give(n int) {
	p.left += n
	p.taken -= n
}

// Memory is asked for what a message takes until it has arrived, and no sooner than the
// message arrives, but for one step.
func TestMemory(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, sent int // of the payload
		left       int
		most       int
		held       int
		err        error
	}{
		{name: "little", size: 64 << 10, sent: 64 << 10},
		{name: "much", size: 1 << 20, sent: 1 << 20, left: 1 << 20, most: 1 << 20},
		{name: "a part of much", size: 4 << 20, sent: 100 << 10, left: 4 << 20, most: 256 << 10, held: 256 << 10, err: io.ErrUnexpectedEOF},
		{name: "too much", size: 1 << 20, sent: 1 << 20, left: 1<<20 - 1, most: 512 << 10, held: 512 << 10, err: errPurse},
	} {
		var b bytes.Buffer
		if err := wire.NewWriter(&b, 0).Write(message(plugin, 1, tt.size)); err != nil {
			t.Fatal(err)
		}
		p := &purse{left: tt.left}
		r := wire.NewReader(io.LimitReader(&b, int64(b.Len()-tt.size+tt.sent)))
		r.Account(p)
		m, err := r.Read()
		if !errors.Is(err, tt.err) || err == nil && len(m.Payload) != tt.size {
			t.Errorf("%s: %d bytes, error %v", tt.name, len(m.Payload), err)
		}
		if p.most != tt.most || p.taken != tt.held {
			t.Errorf("%s: took %d, want %d; has %d still, want %d", tt.name, p.most, tt.most, p.taken, tt.held)
		}
	}
}
