package nri

import (
	"context"
	"sync"
)

// gate lets creations and removals pass until it is shut for a reload. It is a
// read-write lock whose waits end with a context: a daemon that comes with one
// of its own locks held gets an error then, where it would hang for ever.
type gate struct {
	mu     sync.Mutex
	inside int
	// opened is closed when a shut gate opens again; nil while it is open.
	opened chan struct{}
	// empty is closed when the last one has left a shut gate.
	empty chan struct{}
}

// enter waits while the gate is shut. Who has entered must leave.
func (g *gate) enter(ctx context.Context) error {
	return g.passOpen(ctx, func() { g.inside++ })
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.opened != nil {
		close(g.empty)
	}
}

// shut keeps everybody from entering and waits until all have left. After an
// error the gate is open.
func (g *gate) shut(ctx context.Context) error {
	var empty chan struct{}
	err := g.passOpen(ctx, func() {
		g.opened, g.empty = make(chan struct{}), make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
		empty = g.empty
	})
	if err != nil {
		return err
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		g.open()
		return context.Cause(ctx)
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened = nil
}

// passOpen calls then with the lock held as soon as the gate is open.
func (g *gate) passOpen(ctx context.Context, then func()) error {
	for {
		g.mu.Lock()
		opened := g.opened
		if opened == nil {
			then()
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
