package proxy

import (
	"fmt"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// remoteOpen is the flag of a request after which a stream follows (ttrpc,
// flagRemoteOpen).
const remoteOpen = 2

// asked reads a request that the plugin makes. An error is a breach of the
// protocol.
func (l *link) asked(m wire.Message) (*ttrpc.Request, error) {
	switch {
	case m.Type != wire.Request || m.Flags&remoteOpen != 0:
		return nil, fmt.Errorf("a message of type %d with flags %#x where a request is due; streams are not relayed", m.Type, m.Flags)
	case m.Stream%2 != 1 || m.Stream <= l.lastAsk:
		return nil, fmt.Errorf("a request has the number %d after %d; numbers are odd and go up", m.Stream, l.lastAsk)
	}
	l.lastAsk = m.Stream
	req := &ttrpc.Request{}
	return req, unmarshal(m.Payload, req)
}

// longest is how long a request may want to be waited for so that it matters: longer is
// forever, and cannot be reckoned with.
const longest = 24 * time.Hour

// waited is when a request is not waited for any more, zero where it is forever.
func waited(req *ttrpc.Request) time.Time {
	t := time.Duration(req.GetTimeoutNano())
	if t <= 0 || t > longest {
		return time.Time{}
	}
	return time.Now().Add(t)
}

// maxReason is how much of a reason is told. Names that a plugin made up are part
// of it and can be of any length.
const maxReason = 32 << 10

// refusal answers a request with an error. It is for people in the end: those who
// wonder why a container is not created.
func refusal(m wire.Message, code codes.Code, message string) wire.Message {
	message = engine.Printable(engine.Brief(message, maxReason))
	return response(m, &ttrpc.Response{Status: status.New(code, message).Proto()})
}

// response answers a request.
func response(m wire.Message, rsp *ttrpc.Response) wire.Message {
	payload, _ := proto.Marshal(rsp) // it fails for text that is no UTF-8 alone
	return wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: payload}
}

func unimplemented(req *ttrpc.Request) string {
	return fmt.Sprintf("the guard does not relay %s/%s", req.GetService(), req.GetMethod())
}
