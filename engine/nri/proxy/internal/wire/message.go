package wire

import (
	"encoding/binary"

	"github.com/containerd/nri/pkg/net/multiplex"
)

// MaxPayload is the longest payload that ttrpc takes (its messageLengthMax).
const MaxPayload = 4 << 20

const (
	frameHeader   = 8
	messageHeader = 10
	// maxFrame is the longest frame that NRI's multiplexer takes.
	maxFrame = messageHeader + MaxPayload
	// firstFrame is how much of a message goes into the first of its frames: ttrpc
	// reads a header through a buffer of this size, and a frame that does not fit
	// in what is read into ends the connection (pkg/net/multiplex, conn.Read).
	firstFrame = 4096
)

// Type says what a message is.
type Type uint8

// The types of ttrpc's messages.
const (
	Request  Type = 1
	Response Type = 2
	Data     Type = 3 // of a stream, which NRI does not use
)

// Message is one message of ttrpc.
type Message struct {
	// Conn is the logical connection, [multiplex.PluginServiceConn] or
	// [multiplex.RuntimeServiceConn].
	Conn   multiplex.ConnID
	Stream uint32
	Type   Type
	Flags  uint8
	// Payload is the receiver's own.
	Payload []byte
	// TooLong is the length of a payload that was longer than ttrpc takes and has been
	// skipped, else 0.
	TooLong int
}

func (m *Message) appendHeader(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Payload)))
	b = binary.BigEndian.AppendUint32(b, m.Stream)
	return append(b, byte(m.Type), m.Flags)
}

func appendFrameHeader(b []byte, conn multiplex.ConnID, size int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(conn))
	return binary.BigEndian.AppendUint32(b, uint32(size))
}
