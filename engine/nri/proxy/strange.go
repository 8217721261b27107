package proxy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// strange names the fields at the top of a message that this build does not know.
// Those further down are changes like others.
func strange(m proto.Message) []string {
	var reasons []string
	for raw := m.ProtoReflect().GetUnknown(); len(raw) > 0; {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			return append(reasons, "the message ends in the middle of a field")
		}
		reasons = append(reasons, "the message has a field that this build does not know: "+
			string(m.ProtoReflect().Descriptor().Name())+"#"+strconv.Itoa(int(number)))
		raw = raw[n:]
	}
	return reasons
}

// unknown returns an error for messages that have fields at the top which this build
// does not know: to a newer runtime they could mean anything.
func unknown(messages ...proto.Message) error {
	var reasons []string
	for _, m := range messages {
		reasons = append(reasons, strange(m)...)
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}

// known lets answers pass that have nothing in them but what this build knows.
func known(empty func() proto.Message) func(*link, *call, []byte) (*answer, error) {
	return func(_ *link, _ *call, payload []byte) (*answer, error) {
		rpl := empty()
		if err := unmarshal(payload, rpl); err != nil {
			return nil, err
		}
		return &answer{refused: unknown(rpl)}, nil
	}
}

// heard relays the answer to what the plugin was only told. There is nothing that it
// could hold in the NRI that this build knows; what a newer one puts there is left out,
// since an error would keep the runtime from telling other plugins.
func (l *link) heard(c *call, m wire.Message) error {
	if len(m.Payload) == 0 {
		return l.toRuntime.Write(m)
	}
	rsp := &ttrpc.Response{}
	if err := unmarshal(m.Payload, rsp); err != nil {
		return err
	}
	if rsp.GetStatus().GetCode() != int32(codes.OK) || len(rsp.GetPayload()) == 0 {
		return l.toRuntime.Write(m)
	}
	log.G(l.ctx).Warnf("What a plugin answers to %s is left out: this build does not know what it means", c.name)
	rsp.Payload = nil
	return l.toRuntime.Write(response(m, rsp))
}
