package proxy

import "context"

func (p *Proxy) launch(ctx, work context.Context) {}
