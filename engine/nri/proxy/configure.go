package proxy

import (
	"fmt"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// show makes of a request what the plugin is to see, and says whether that is
// another one.
func (l *link) show(m *method, req *ttrpc.Request) (changed bool, err error) {
	f := l.proxy.inForce()
	redact := f.rule(l.plugin.Name).redact
	configure := req.GetMethod() == "Configure"
	if !configure && redact.empty() {
		return false, nil
	}
	request := m.request()
	if err := unmarshalRuntime(req.GetPayload(), request); err != nil {
		return false, err
	}
	if configure {
		changed = l.configure(request.(*api.ConfigureRequest))
	} else {
		changed = redact.hide(request)
	}
	if changed {
		req.Payload, err = proto.Marshal(request)
	}
	return changed, err
}

// configure takes note of what the runtime says of itself, and tells plugins that
// the proxy started their configuration: to the runtime they are like others that
// connected by themselves, which have none.
func (l *link) configure(req *api.ConfigureRequest) (changed bool) {
	l.judges.Configure(req)
	l.proxy.runtime.Store(&engine.Runtime{Name: req.GetRuntimeName(), Version: req.GetRuntimeVersion()})
	if l.own == nil || l.own.config == "" {
		return false
	}
	req.Config = l.own.config
	return true
}

// configured limits what the plugin subscribes to.
func (l *link) configured(_ *call, payload []byte) (*answer, error) {
	rpl := &api.ConfigureResponse{}
	if err := unmarshal(payload, rpl); err != nil {
		return nil, err
	}
	if err := unknown(rpl, rpl.GetFailurePolicy()); err != nil {
		return &answer{refused: err, fatal: err}, nil
	}
	wanted := api.EventMask(rpl.GetEvents())
	f := l.proxy.inForce()
	rule := f.rule(l.plugin.Name)
	mask, ok := rule.allow(wanted)
	if !ok {
		err := l.reject(f, fmt.Sprintf("none of the events that plugin %s wants (%s) is one that it may subscribe to (%s)",
			l.plugin, wanted.PrettyString(), rule.subscribable()))
		return &answer{refused: err, fatal: err}, nil
	}
	if mask == wanted {
		return &answer{}, nil
	}
	rpl.Events = int32(mask)
	return &answer{instead: rpl}, nil
}
