package wasm

import "context"

// pool keeps the instances of a module. Each time that the last idle one is taken
// another is made in the background, as long as there are not too many, so that a
// decision waits for one only where all are busy.
type pool struct {
	create func() (*instance, error)
	idle   chan made
	slots  chan struct{} // holds something for each instance that there is or will be
}

// made is an instance, or why there is none.
type made struct {
	in  *instance
	err error
}

func newPool(size int, create func() (*instance, error)) *pool {
	return &pool{create: create, idle: make(chan made, size), slots: make(chan struct{}, size)}
}

// warm makes the first instance.
func (p *pool) warm() error {
	in, err := p.create()
	if err != nil {
		return err
	}
	p.slots <- struct{}{}
	p.idle <- made{in: in}
	return nil
}

// take returns an instance that is nobody else's until it is put back.
func (p *pool) take(ctx context.Context) (*instance, error) {
	select {
	case m := <-p.idle:
		p.spare()
		return m.in, m.err
	default:
	}
	p.spare()
	select {
	case m := <-p.idle:
		return m.in, m.err
	case <-ctx.Done():
		return nil, errBusy
	}
}

// put gives an instance back, or throws it away.
func (p *pool) put(in *instance, usable bool) {
	if usable {
		p.idle <- made{in: in}
		return
	}
	in.close()
	<-p.slots
	p.spare()
}

// spare makes an instance in the background if there is none idle and there may be
// another.
func (p *pool) spare() {
	if len(p.idle) > 0 {
		return
	}
	select {
	case p.slots <- struct{}{}:
		go p.add()
	default:
	}
}

func (p *pool) add() {
	in, err := p.create()
	if err == nil {
		p.idle <- made{in: in}
		return
	}
	select {
	case p.idle <- made{err: err}: // one decision fails for it, and has it tried again
	default:
	}
	<-p.slots
}
