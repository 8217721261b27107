// Obedient is an NRI plugin that does whatever the author of a pod tells it to, as
// many plugins do with the annotations that they read. It knows nothing but NRI's
// stub.
//
// Its orders are an annotation of the pod, PLUGIN.e2e/CONTAINER, or where there is
// none a label of the container, PLUGIN.e2e.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/encoding/protojson"
)

// order is what one container's author wants; messages are NRI's as protobuf JSON.
type order struct {
	Adjust      json.RawMessage   `json:"adjust"`      // when the container is created
	Update      []json.RawMessage `json:"update"`      // updates of others in that reply
	OnStop      []json.RawMessage `json:"onStop"`      // updates of others when it stops
	Unsolicited []json.RawMessage `json:"unsolicited"` // sent once it has started
	Evict       []string          `json:"evict"`       // containers to evict in that reply
	Hang        int               `json:"hang"`        // milliseconds to sleep before the reply to its creation
	Error       string            `json:"error"`       // instead of a reply to its creation
}

type plugin struct {
	name  string
	stub  stub.Stub
	evict []*api.ContainerEviction // for the next reply to a creation; NRI asks for one at a time
}

func main() {
	p := &plugin{}
	var index, socket string
	var stay bool
	flag.StringVar(&p.name, "name", "", "name to register with")
	flag.StringVar(&index, "idx", "", "index to register with")
	flag.StringVar(&socket, "socket", "", "NRI's socket")
	flag.BoolVar(&stay, "reconnect", false, "connect again when the connection is lost")
	flag.Parse()
	for {
		err := p.run(index, socket)
		log.Printf("%s: connection ended: %v", p.name, err)
		if !stay {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *plugin) run(index, socket string) error {
	opts := []stub.Option{stub.WithTTRPCOptions(nil, []ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(p.evictions)})}
	if p.name != "" {
		opts = append(opts, stub.WithPluginName(p.name), stub.WithPluginIdx(index))
	}
	if socket != "" {
		opts = append(opts, stub.WithSocketPath(socket))
	}
	var err error
	if p.stub, err = stub.New(p, opts...); err != nil {
		return err
	}
	if p.name == "" { // as NRI says to plugins that it launches
		p.name = os.Getenv(api.PluginNameEnvVar)
	}
	return p.stub.Run(context.Background())
}

// Configure says in the log that the plugin is registered.
func (p *plugin) Configure(_ context.Context, _, runtime, version string) (stub.EventMask, error) {
	log.Printf("%s: registered with %s %s", p.name, runtime, version)
	return 0, nil
}

// CreateContainer does as it is told.
func (p *plugin) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	o, err := p.order(pod, c)
	if err != nil {
		return nil, nil, err
	}
	if o.Hang > 0 {
		log.Printf("%s: hangs", p.name)
		time.Sleep(time.Duration(o.Hang) * time.Millisecond)
	}
	if o.Error != "" {
		return nil, nil, errors.New(o.Error)
	}
	a := &api.ContainerAdjustment{}
	if len(o.Adjust) > 0 {
		if err := protojson.Unmarshal(o.Adjust, a); err != nil {
			return nil, nil, err
		}
	}
	for _, id := range o.Evict {
		p.evict = append(p.evict, &api.ContainerEviction{ContainerId: id, Reason: "told so"})
	}
	updates, err := decode(o.Update)
	return a, updates, err
}

// evictions adds to replies what NRI's stub has no way to say.
func (p *plugin) evictions(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	reply, err := method(ctx, unmarshal)
	if r, ok := reply.(*api.CreateContainerResponse); ok {
		r.Evict, p.evict = p.evict, nil
	}
	return reply, err
}

// StopContainer does as it is told.
func (p *plugin) StopContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) ([]*api.ContainerUpdate, error) {
	o, err := p.order(pod, c)
	if err != nil {
		return nil, err
	}
	return decode(o.OnStop)
}

// PostStartContainer sends updates that nobody asked for and logs what came of them.
func (p *plugin) PostStartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	o, err := p.order(pod, c)
	if err != nil || len(o.Unsolicited) == 0 {
		return err
	}
	updates, err := decode(o.Unsolicited)
	if err != nil {
		return err
	}
	// Not before NRI has the answer to this event: it holds a lock until then.
	go func() {
		failed, err := p.stub.UpdateContainers(updates)
		log.Printf("%s: unsolicited for %s: failed %d, error %v", p.name, c.Name, len(failed), err)
	}()
	return nil
}

// order reads what the plugin is told for a container.
func (p *plugin) order(pod *api.PodSandbox, c *api.Container) (*order, error) {
	key := p.name + ".e2e"
	text, ok := pod.GetAnnotations()[key+"/"+c.GetName()]
	if !ok {
		text, ok = c.GetLabels()[key]
	}
	o := &order{}
	if !ok {
		return o, nil
	}
	if err := json.Unmarshal([]byte(text), o); err != nil {
		return nil, fmt.Errorf("%s: orders: %w", p.name, err)
	}
	return o, nil
}

func decode(raw []json.RawMessage) ([]*api.ContainerUpdate, error) {
	var updates []*api.ContainerUpdate
	for _, r := range raw {
		u := &api.ContainerUpdate{}
		if err := protojson.Unmarshal(r, u); err != nil {
			return nil, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}
