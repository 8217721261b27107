package nri

import (
	"context"
	"errors"
	"path"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"

	"github.com/nri-guard/nri-guard/engine"
)

// connection is one plugin's. The roster's lock guards its fields.
type connection struct {
	roster *roster
	client *ttrpc.Client
	// registered is set when the plugin registers, which it may do once: a second
	// time would change the name that NRI has for it.
	registered bool
	// plugin is zero until the plugin has been synchronised.
	plugin engine.Plugin
	// named is closed when plugin is set.
	named chan struct{}
}

// syncPatience is how long a request of a plugin waits for NRI to take note that
// the plugin has been synchronised, which is a moment after the plugin has
// answered. One that asks from within its synchronisation waits in vain, and may
// then still answer in time.
const syncPatience = api.DefaultPluginRequestTimeout / 2

// options have NRI tell the roster what it needs to know.
func (r *roster) options() []adaptation.Option {
	serve := perServer(func() ttrpc.ServerOpt { return ttrpc.WithUnaryServerInterceptor(r.joined().serve) })
	return []adaptation.Option{
		adaptation.WithTTRPCOptions([]ttrpc.ClientOpts{r.join}, []ttrpc.ServerOpt{serve}),
		adaptation.WithMetrics(r),
	}
}

// perServer makes an option that is made anew for each server. Inference finds
// the type of the parameter, which ttrpc does not export.
func perServer[O ~func(C) error, C any](option func() O) func(C) error {
	return func(c C) error { return option()(c) }
}

// join is called by NRI when it begins to set up a connection.
func (r *roster) join(client *ttrpc.Client) {
	c := &connection{roster: r, client: client, named: make(chan struct{})}
	ttrpc.WithUnaryClientInterceptor(c.call)(client)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[c] = struct{}{}
	r.joining = c
	go func() {
		_ = client.UserOnCloseWait(context.Background()) // fails with its context only
		r.leave(c)
	}()
}

// joined returns the connection that was announced last.
func (r *roster) joined() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joining
}

func (r *roster) leave(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
}

// call is between NRI and the plugin.
func (c *connection) call(ctx context.Context, req *ttrpc.Request, rpl *ttrpc.Response, info *ttrpc.UnaryClientInfo, next ttrpc.Invoker) error {
	if path.Base(info.FullMethod) == "Synchronize" {
		c.roster.mu.Lock()
		c.roster.synchronizing = c
		c.roster.mu.Unlock()
	}
	return next(ctx, req, rpl)
}

// serve is between the plugin and NRI.
func (c *connection) serve(ctx context.Context, read ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, next ttrpc.Method) (_ any, err error) {
	defer recovered(ctx, &err)
	if path.Base(info.FullMethod) == "RegisterPlugin" {
		if err := c.register(); err != nil {
			return nil, err
		}
		return next(ctx, read)
	}
	p, err := c.synchronized(ctx)
	if err != nil {
		return nil, err
	}
	return next(context.WithValue(ctx, pluginKey{}, p), read)
}

func (c *connection) register() error {
	c.roster.mu.Lock()
	defer c.roster.mu.Unlock()
	switch {
	case c.roster.closed:
		go c.client.Close() //nolint:errcheck // always nil
		return errStopped
	case c.registered:
		return errors.New("the plugin has registered already")
	}
	c.registered = true
	return nil
}

// name is called with the roster's lock held, each time that a part of what exists
// has reached the plugin.
func (c *connection) name(p engine.Plugin) {
	if c.plugin == (engine.Plugin{}) {
		close(c.named)
	}
	c.plugin = p
}

// synchronized returns the plugin, once it has been synchronised.
func (c *connection) synchronized(ctx context.Context) (engine.Plugin, error) {
	wait, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	select {
	case <-c.named:
	case <-wait.Done():
		return engine.Plugin{}, errors.New("the plugin has not been synchronised yet")
	}
	c.roster.mu.Lock()
	defer c.roster.mu.Unlock()
	return c.plugin, nil
}
