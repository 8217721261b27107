package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// endTimeout is how long a part of the service may take to finish what is under way.
// Each has a bound of its own, which follows from how long the runtime waits.
const endTimeout = 30 * time.Second

// parts are what runs, in the order in which it is to end: first nothing new is let
// in, then nothing is judged any more. Until the last creation has been answered it
// can be looked up what it is about.
func (s *service) parts() []part {
	var list []part
	if s.proxy != nil {
		list = append(list, part{name: "proxy", run: s.proxy.Run})
	}
	if s.validator != nil {
		list = append(list, part{name: "validator", run: s.validator.Run})
	}
	list = append(list, part{name: "observer", run: s.observer.Run})
	if s.admin != nil {
		list = append(list, part{name: "admin", run: s.admin.Run})
	}
	return list
}

// part is one of those that run side by side.
type part struct {
	name string
	run  func(context.Context) error
	stop context.CancelFunc
	done chan error
}

// start runs the part until end is called. That it ends by itself ends all others.
func (p *part) start(ctx context.Context, cancel context.CancelCauseFunc) {
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.done = make(chan error, 1)
	go func() {
		err := p.run(ctx)
		if ctx.Err() == nil {
			cancel(p.wrong(err))
		}
		p.done <- err
	}()
}

// end waits until the part has finished what is under way.
func (p *part) end() error {
	p.stop()
	select {
	case err := <-p.done:
		if err != nil {
			return p.wrong(err)
		}
		return nil
	case <-time.After(endTimeout):
		return p.wrong(fmt.Errorf("what is under way has not ended after %s", endTimeout))
	}
}

// wrong says what is wrong with the part, which may be no more than that it ended.
func (p *part) wrong(err error) error {
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return fmt.Errorf("%s: %w", p.name, err)
}
