package session

import (
	"context"

	"github.com/containerd/log"
	nrilog "github.com/containerd/nri/pkg/log"
)

// quiet is the stub's log: for those who look for what is wrong. Whatever matters
// comes back as an error, and is said by the session.
type quiet struct{}

func (quiet) Debugf(ctx context.Context, format string, args ...any) {
	log.G(ctx).Debugf("NRI: "+format, args...)
}

func (q quiet) Infof(ctx context.Context, format string, args ...any) { q.Debugf(ctx, format, args...) }

func (q quiet) Warnf(ctx context.Context, format string, args ...any) { q.Debugf(ctx, format, args...) }

func (q quiet) Errorf(ctx context.Context, format string, args ...any) {
	q.Debugf(ctx, format, args...)
}

var _ nrilog.Logger = quiet{}
