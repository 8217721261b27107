package nri

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// roster knows which plugins are connected to an adaptation and can disconnect
// them, neither of which NRI offers.
//
// NRI sets connections up one after the other, gives each of them the same client
// and server options, and then synchronises them one after the other, naming them
// in its metrics. So the client option announces a connection, the server option
// that follows belongs to the same one, and the metrics that follow a call of
// Synchronize on it have its name: the one that NRI goes by, whatever a plugin
// says of itself later.
type roster struct {
	mu      sync.Mutex
	closed  bool
	members map[*connection]struct{}
	// resident plugins have no connection: they run inside of NRI.
	resident []engine.Plugin
	// joining is being set up, synchronizing is being synchronised.
	joining, synchronizing *connection
	// asked has the plugins that asked for updates in reply to the request that
	// is under way.
	asked map[engine.Operation][]engine.Plugin
	// turns keep requests of one kind apart, as NRI does itself.
	turns map[engine.Operation]*sync.Mutex
}

func newRoster() *roster {
	return &roster{
		members: map[*connection]struct{}{},
		asked:   map[engine.Operation][]engine.Plugin{},
		turns: map[engine.Operation]*sync.Mutex{
			engine.UpdateContainer: {}, engine.StopContainer: {}, engine.Synchronize: {},
		},
	}
}

// connected returns the plugins that have been synchronised, in NRI's order.
func (r *roster) connected() []engine.Plugin {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.resident)
	for c := range r.members {
		if c.plugin != (engine.Plugin{}) {
			list = append(list, c.plugin)
		}
	}
	slices.SortFunc(list, engine.ComparePlugins)
	return list
}

// collect makes a request of NRI's, and returns the plugins that asked for
// updates in reply.
func (r *roster) collect(op engine.Operation, request func()) []engine.Plugin {
	turn := r.turns[op]
	turn.Lock()
	defer turn.Unlock()
	request()
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked[op]
	delete(r.asked, op)
	return asked
}

// close disconnects every plugin, those that are yet to register too. A
// connection that NRI is still setting up must not be closed under its hands: it
// is closed when it registers, or by NRI when it does not.
func (r *roster) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.members {
		if c.registered {
			go c.client.Close() //nolint:errcheck // always nil
		}
	}
}

// RecordPluginInvocation implements [adaptation.Metrics].
func (r *roster) RecordPluginInvocation(name, operation string, err error) {
	if operation != string(engine.Synchronize) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.synchronizing
	r.synchronizing = nil
	if err != nil {
		return
	}
	p := parsePlugin(name)
	switch {
	case c != nil:
		c.name(p)
	case p.Name == GuardName && p.Index == GuardIndex:
	case !slices.Contains(r.resident, p):
		r.resident = append(r.resident, p)
	}
}

// RecordPluginAdjustments implements [adaptation.Metrics].
func (r *roster) RecordPluginAdjustments(name, operation string, _ *api.ContainerAdjustment, updates, _ int) {
	op := engine.Operation(operation)
	if _, wanted := r.turns[op]; !wanted || updates == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[op] = append(r.asked[op], parsePlugin(name))
}

// RecordPluginLatency implements [adaptation.Metrics].
func (r *roster) RecordPluginLatency(string, string, time.Duration) {}

// UpdatePluginCount implements [adaptation.Metrics].
func (r *roster) UpdatePluginCount(int) {}

var _ adaptation.Metrics = (*roster)(nil)

// parsePlugin reads INDEX-NAME.
func parsePlugin(s string) engine.Plugin {
	index, name, _ := strings.Cut(s, "-")
	return engine.Plugin{Index: index, Name: name}
}

// pluginKey is where a context has the plugin that makes a request.
type pluginKey struct{}

func pluginFrom(ctx context.Context) engine.Plugin {
	p, _ := ctx.Value(pluginKey{}).(engine.Plugin)
	return p
}
