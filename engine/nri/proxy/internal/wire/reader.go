package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/nri/pkg/net/multiplex"
)

const (
	readBuffer = 16 << 10
	// growth is how far ahead of what has arrived memory is taken.
	growth = 64 << 10
)

// Memory is asked for what a message takes that has not arrived whole, beyond the first
// 64 KiB.
type Memory interface {
	// Take returns an error if there is not so much; it ends the reading.
	Take(n int) error
	// Give gives back what was taken, when a message has arrived.
	Give(n int)
}

// Reader reads messages. It is for one goroutine.
type Reader struct {
	r      *bufio.Reader
	limit  int
	memory Memory
	// conn and left are those of the frame that is being read.
	conn  multiplex.ConnID
	left  int
	parts [2]part
}

// part is the message that is arriving on a connection.
type part struct {
	header [messageHeader]byte
	got    int // of the header
	size   int
	data   []byte
	taken  int // of the memory
	// skipped is how much has arrived of a payload that is too long to be kept.
	skipped int
}

// NewReader returns a reader. Of a message with a longer payload than [MaxPayload] the
// payload is skipped, as ttrpc does; see [Message.TooLong].
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, readBuffer), limit: MaxPayload}
}

// Limit sets how long the payload of messages may be from now on. Below [MaxPayload] a
// longer one is an error.
func (r *Reader) Limit(n int) { r.limit = min(n, MaxPayload) }

// Account has memory asked for from now on. What a message has that never arrives whole
// is not given back.
func (r *Reader) Account(m Memory) { r.memory = m }

// Read returns the next message, of whichever connection it is. At the end of what
// there is to read the error is [io.EOF]; in the middle of a message it is
// [io.ErrUnexpectedEOF]. After any error the reader is of no more use.
func (r *Reader) Read() (Message, error) {
	for {
		if r.left == 0 {
			if err := r.frame(); err != nil {
				return Message{}, err
			}
			continue
		}
		p := &r.parts[r.conn-multiplex.PluginServiceConn]
		if err := r.fill(p); err != nil {
			return Message{}, unexpected(err)
		}
		if p.complete() {
			m := Message{
				Conn:    r.conn,
				Stream:  binary.BigEndian.Uint32(p.header[4:]),
				Type:    Type(p.header[8]),
				Flags:   p.header[9],
				Payload: p.data,
				TooLong: p.skipped,
			}
			if p.taken > 0 {
				r.memory.Give(p.taken)
			}
			*p = part{}
			return m, nil
		}
	}
}

// frame reads the header of the next frame.
func (r *Reader) frame() error {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r.r, h[:]); err != nil {
		if r.parts[0].got > 0 || r.parts[1].got > 0 {
			err = unexpected(err)
		}
		return err
	}
	conn, size := multiplex.ConnID(binary.BigEndian.Uint32(h[:])), binary.BigEndian.Uint32(h[4:])
	switch {
	case conn != multiplex.PluginServiceConn && conn != multiplex.RuntimeServiceConn:
		return fmt.Errorf("a frame of connection %d, which does not exist", conn)
	case size > maxFrame:
		return fmt.Errorf("a frame of %d bytes; at most %d are allowed", size, maxFrame)
	}
	r.conn, r.left = conn, int(size)
	return nil
}

// fill reads as much of a message as the frame has, up to its end.
func (r *Reader) fill(p *part) error {
	if p.got < messageHeader {
		return r.fillHeader(p)
	}
	if p.size > MaxPayload {
		return r.skip(p)
	}
	n := min(r.left, p.size-len(p.data), growth)
	old := len(p.data)
	if err := r.grow(p, old+n); err != nil {
		return err
	}
	p.data = p.data[:old+n]
	if _, err := io.ReadFull(r.r, p.data[old:]); err != nil {
		return err
	}
	r.left -= n
	return nil
}

// grow makes room for n bytes in all.
func (r *Reader) grow(p *part, n int) error {
	if n <= cap(p.data) {
		return nil
	}
	size := min(p.size, max(n, 2*cap(p.data)))
	if r.memory != nil {
		if err := r.memory.Take(size - p.taken); err != nil {
			return err
		}
		p.taken = size
	}
	data := make([]byte, len(p.data), size)
	copy(data, p.data)
	p.data = data
	return nil
}

func (r *Reader) fillHeader(p *part) error {
	n := min(r.left, messageHeader-p.got)
	if _, err := io.ReadFull(r.r, p.header[p.got:p.got+n]); err != nil {
		return err
	}
	p.got += n
	r.left -= n
	if p.got < messageHeader {
		return nil
	}
	size := binary.BigEndian.Uint32(p.header[:])
	if uint64(size) > uint64(r.limit) && r.limit < MaxPayload {
		return fmt.Errorf("a message of %d bytes; at most %d are allowed", size, r.limit)
	}
	if p.size = int(size); p.size <= MaxPayload {
		p.data = make([]byte, 0, min(p.size, growth))
	}
	return nil
}

// skip reads past as much of a payload as the frame has.
func (r *Reader) skip(p *part) error {
	n, err := r.r.Discard(min(r.left, p.size-p.skipped))
	p.skipped += n
	r.left -= n
	return err
}

// complete says whether all of a message has arrived.
func (p *part) complete() bool {
	return p.got == messageHeader && len(p.data)+p.skipped == p.size
}

// unexpected is the error of an end in the middle of something.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
