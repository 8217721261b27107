package proxy

import (
	"errors"
	"fmt"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// relayPlugin relays what the plugin sends.
func (l *link) relayPlugin() error {
	for {
		m, err := l.fromPlugin.Read()
		if err != nil {
			return err
		}
		if m.Conn == multiplex.PluginServiceConn {
			err = l.unreadable(m, l.answered(m))
		} else {
			err = l.ask(m)
		}
		if err != nil {
			return err
		}
	}
}

// relayRuntime relays what the runtime sends.
func (l *link) relayRuntime() error {
	for {
		m, err := l.fromRuntime.Read()
		if err != nil {
			return err
		}
		switch {
		case m.TooLong > 0:
			err = errors.New(tooLong(m))
		case m.Conn == multiplex.PluginServiceConn:
			err = l.call(m)
		default:
			err = l.reply(m)
		}
		if err != nil {
			return err
		}
	}
}

// call relays a request of the runtime to the plugin.
func (l *link) call(m wire.Message) error {
	if m.Type != wire.Request || m.Flags&remoteOpen != 0 {
		return fmt.Errorf("a message of type %d with flags %#x where a request is due", m.Type, m.Flags)
	}
	req := &ttrpc.Request{}
	if err := proto.Unmarshal(m.Payload, req); err != nil {
		return fmt.Errorf("a request cannot be read: %w", err)
	}
	method, ok := methods[req.GetMethod()]
	if !ok || req.GetService() != pluginService {
		return l.toRuntime.Write(refusal(m, codes.Unimplemented, unimplemented(req)))
	}
	c := &call{name: req.GetMethod(), method: method, deadline: waited(req)}
	if method.asked {
		c.request = reading(method.request, req.GetPayload())
	}
	shown, err := l.show(method, req)
	if err != nil {
		return err
	}
	if shown {
		if m.Payload, err = proto.Marshal(req); err != nil {
			return err
		}
	}
	if err := l.calls.add(m.Stream, c); err != nil {
		return err
	}
	if err := l.toPlugin.Write(m); err != nil {
		return err
	}
	if c.request != nil {
		_, err = c.request() // while the plugin is thinking
	}
	return err
}

// answered relays the plugin's answer to a request of the runtime. One that the
// runtime does not wait for any more is dropped, as the runtime would.
func (l *link) answered(m wire.Message) error {
	if m.Type != wire.Response {
		return fmt.Errorf("a message of type %d where an answer is due; streams are not relayed", m.Type)
	}
	l.working.Add(1)
	defer l.working.Add(-1)
	c, err := l.calls.take(m.Stream)
	if err != nil || c == nil {
		return err
	}
	switch {
	case m.TooLong > 0:
		log.G(l.ctx).Warnf("What a plugin answers to %s has %d bytes: the request fails", c.name, m.TooLong)
		return l.toRuntime.Write(refusal(m, codes.ResourceExhausted, tooLong(m)))
	case c.method.judge == nil:
		return l.heard(c, m)
	}
	l.apart(func() error { return l.unreadable(m, l.judge(c, m)) })
	return nil
}

// unreadable fails the request whose answer cannot be read, as the runtime would. Other
// errors stay what they are.
func (l *link) unreadable(m wire.Message, err error) error {
	var unreadable unreadableError
	if !errors.As(err, &unreadable) {
		return err
	}
	log.G(l.ctx).WithError(err).Warn("What a plugin answers cannot be read: the request fails")
	return l.toRuntime.Write(refusal(m, codes.InvalidArgument, "what the plugin answers cannot be read: "+err.Error()))
}

// tooLong says what ttrpc says of a message that is too long.
func tooLong(m wire.Message) string {
	return fmt.Sprintf("message length %d exceed maximum message size of %d", m.TooLong, wire.MaxPayload)
}

// ask takes a request that the plugin makes of the runtime.
func (l *link) ask(m wire.Message) error {
	req, err := l.asked(m)
	if err != nil {
		return err
	}
	switch {
	case m.TooLong > 0:
		return l.toPlugin.Write(refusal(m, codes.ResourceExhausted, tooLong(m)))
	case req.GetService() != runtimeService:
	case req.GetMethod() == registerPlugin:
		return l.toPlugin.Write(refusal(m, codes.AlreadyExists, "the plugin has registered already"))
	case req.GetMethod() == updateContainers && !l.registered.Load():
		return l.toPlugin.Write(refusal(m, codes.FailedPrecondition, "the runtime has not registered the plugin yet"))
	case req.GetMethod() == updateContainers:
		size := len(m.Payload) + metadataSize*len(req.GetMetadata())
		if err := l.asks.begin(size); err != nil {
			return l.toPlugin.Write(refusal(m, codes.ResourceExhausted, err.Error()))
		}
		m.Payload = nil
		l.apart(func() error { return l.judgeUnsolicited(m, req, size) })
		return nil
	}
	return l.toPlugin.Write(refusal(m, codes.Unimplemented, unimplemented(req)))
}

// metadataSize is what an entry of a request's metadata takes in memory, of which two
// bytes can be on the wire.
const metadataSize = 128

// forward sends a request of the plugin's to the runtime. asks.begin made room for
// it.
func (l *link) forward(k ask, req *ttrpc.Request, size int) error {
	payload, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	return l.asks.number(k, size, func(stream uint32) error {
		return l.toRuntime.Write(wire.Message{
			Conn: multiplex.RuntimeServiceConn, Stream: stream, Type: wire.Request, Payload: payload,
		})
	})
}

// reply relays the runtime's answer to a request of the plugin's.
func (l *link) reply(m wire.Message) error {
	k, ok := l.asks.answered(m.Stream)
	if m.Type != wire.Response || !ok {
		return fmt.Errorf("a message of type %d about request %d, which is not under way", m.Type, m.Stream)
	}
	if k.register {
		if err := l.settled(m); err != nil {
			return err
		}
	}
	m.Stream = k.stream
	return l.toPlugin.Write(m)
}

// settled takes note of the runtime's answer to the registration.
func (l *link) settled(m wire.Message) error {
	rsp := &ttrpc.Response{}
	if err := proto.Unmarshal(m.Payload, rsp); err != nil {
		return fmt.Errorf("the answer to the registration cannot be read: %w", err)
	}
	if rsp.GetStatus().GetCode() == int32(codes.OK) {
		l.registered.Store(true)
		if l.own != nil {
			l.own.in()
		}
		log.G(l.ctx).Infof("Plugin %s registered, %s", l.plugin, describe(l.plugin.Identity))
	}
	return nil
}
