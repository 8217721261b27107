package proxy_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// inFrames writes a message that the writer would refuse for its length.
func (p *rawPlugin) inFrames(conn multiplex.ConnID, stream uint32, kind wire.Type, size int) {
	p.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	b = append(binary.BigEndian.AppendUint32(b, stream), byte(kind), 0)
	for b = append(b, bytes.Repeat([]byte{'x'}, size)...); len(b) > 0; {
		n := min(len(b), 1<<20)
		frame := binary.BigEndian.AppendUint32(nil, uint32(conn))
		frame = binary.BigEndian.AppendUint32(frame, uint32(n))
		if _, err := p.conn.Write(append(frame, b[:n]...)); err != nil {
			p.t.Error(err)
			return
		}
		b = b[n:]
	}
}

const tooLong = "message length 4194305 exceed maximum message size of 4194304"

// brokenAnswers are answers that nobody can read. NRI fails the request, and keeps the
// plugin: through the proxy it is the same, for what a plugin is needed for must not be
// missing in silence. What is too long NRI's ttrpc skips, and fails with the same words,
// if it comes in small frames and slowly; else its multiplexer ends the connection and
// the container is created without the plugin. Through the proxy it always fails.
var brokenAnswers = map[string]struct {
	send func(*rawPlugin, wire.Message)
	want string // the error through the proxy
	luck bool   // what NRI does depends on the frames and on how fast they come
}{
	"one over ttrpc's limit": {func(p *rawPlugin, m wire.Message) {
		p.inFrames(m.Conn, m.Stream, wire.Response, wire.MaxPayload+1)
	}, tooLong, true},
	"what cannot be read": {func(p *rawPlugin, m wire.Message) {
		p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: []byte{0xff}})
	}, "what the plugin answers cannot be read: Response cannot be read", false},
	"an adjustment that cannot be read": {func(p *rawPlugin, m wire.Message) {
		p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: encode(p.t, &ttrpc.Response{Payload: []byte{0x0a, 0x7f}})})
	}, "CreateContainerResponse cannot be read", false},
	"text that is none": {func(p *rawPlugin, m wire.Message) {
		p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response,
			Payload: encode(p.t, &ttrpc.Response{Payload: []byte("\x0a\x06\x2a\x04\x0a\x02\xff\xfe")})})
	}, "CreateContainerResponse cannot be read", false},
}

func TestBrokenAnswersAreAsDirect(t *testing.T) {
	r := newRig(t, nil)
	direct := newTestRuntime(t)
	for name, broken := range brokenAnswers {
		t.Run(name, func(t *testing.T) {
			if !broken.luck {
				if got := outcome(t, direct, direct.socket, broken.send); got[0] == "" || got[1] != "" {
					t.Errorf("directly: %q", got)
				}
			}
			got := outcome(t, r.runtime, r.socket, broken.send)
			if !strings.Contains(got[0], broken.want) || got[1] != "" {
				t.Errorf("through the proxy: %q, want %s", got, broken.want)
			}
		})
	}
}

// outcome is what comes of a creation with the answer, and of the next one with an
// answer of the same plugin that is fine.
func outcome(t *testing.T, runtime *testRuntime, socket string, send func(*rawPlugin, wire.Message)) (errs [2]string) {
	t.Helper()
	p := dialRaw(t, socket)
	p.join("20", "broken")
	defer p.conn.Close() //nolint:errcheck // of a test
	for i, reply := range []func(*rawPlugin, wire.Message){send, func(p *rawPlugin, m wire.Message) {
		p.send(answer(t, m, &api.CreateContainerResponse{Adjust: &api.ContainerAdjustment{Env: []*api.KeyValue{{Key: "A", Value: "1"}}}}))
	}} {
		var wg sync.WaitGroup
		wg.Go(func() { reply(p, p.called("CreateContainer")) })
		rpl, err := runtime.create("c")
		wg.Wait()
		switch {
		case err != nil:
			errs[i] = err.Error()
		case i == 1 && len(rpl.GetAdjust().GetEnv()) != 1:
			errs[i] = "the plugin is not asked any more"
		}
	}
	return errs
}

// A request of the plugin that is too long is refused, and the connection goes on.
func TestRequestsThatAreTooLong(t *testing.T) {
	r := newRig(t, nil)
	p := dialRaw(t, r.socket)
	p.join("20", "long")
	p.last += 2
	p.inFrames(multiplex.RuntimeServiceConn, p.last, wire.Request, wire.MaxPayload+1)
	if got := errorOf(t, p.answered(wire.Message{Conn: multiplex.RuntimeServiceConn, Stream: p.last})); got != tooLong {
		t.Errorf("answer %q, want %q", got, tooLong)
	}
	if got := p.ask("UpdateContainers", &api.UpdateContainersRequest{}); got != "" {
		t.Errorf("the next request is refused: %s", got)
	}
}
