package wire

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Writer writes messages, whole and in frames of the sizes that NRI's own
// multiplexer would use. It is safe for concurrent use.
type Writer struct {
	mu      sync.Mutex
	w       io.Writer
	timeout time.Duration
	head    []byte
	rest    [frameHeader]byte
}

// NewWriter returns a writer. A [net.Conn] is written to with as few system calls
// as there can be; the other side may take as long as timeout to read a message, 0
// is forever.
func NewWriter(w io.Writer, timeout time.Duration) *Writer {
	return &Writer{w: w, timeout: timeout, head: make([]byte, 0, frameHeader+firstFrame)}
}

// TooLongError says that a message is longer than ttrpc takes.
type TooLongError struct {
	// Length is that of the payload, in bytes.
	Length int
}

// Error implements error.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("a message of %d bytes cannot be sent; at most %d are allowed", e.Length, MaxPayload)
}

// Write writes a message. A payload that is too long is a [*TooLongError], and
// nothing is written; after any other error the writer is of no more use.
func (w *Writer) Write(m Message) error {
	if len(m.Payload) > MaxPayload {
		return &TooLongError{Length: len(m.Payload)}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if conn, ok := w.w.(net.Conn); ok && w.timeout > 0 {
		if err := conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return err
		}
	}
	n := min(len(m.Payload), firstFrame-messageHeader)
	b := appendFrameHeader(w.head[:0], m.Conn, messageHeader+n)
	b = m.appendHeader(b)
	b = append(b, m.Payload[:n]...)
	rest := m.Payload[n:]
	if len(rest) == 0 {
		_, err := w.w.Write(b)
		return err
	}
	buffers := net.Buffers{b, appendFrameHeader(w.rest[:0], m.Conn, len(rest)), rest}
	_, err := buffers.WriteTo(w.w)
	return err
}
