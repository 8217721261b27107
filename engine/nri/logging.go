package nri

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	nrilog "github.com/containerd/nri/pkg/log"
	"github.com/containerd/ttrpc"
)

// nriLogger takes NRI's log to github.com/containerd/log.
type nriLogger struct{}

// logToContainerd makes NRI log there. NRI has one logger for the whole process,
// so that any other user of NRI in it is redirected as well; setting it is not safe
// beside a running NRI, hence once.
var logToContainerd = sync.OnceFunc(func() { nrilog.Set(nriLogger{}) })

func (nriLogger) Debugf(ctx context.Context, format string, args ...any) {
	log.G(ctx).Debugf("NRI: "+format, args...)
}

func (nriLogger) Infof(ctx context.Context, format string, args ...any) {
	log.G(ctx).Infof("NRI: "+format, args...)
}

func (nriLogger) Warnf(ctx context.Context, format string, args ...any) {
	logNRI(ctx, log.WarnLevel, format, args)
}

func (nriLogger) Errorf(ctx context.Context, format string, args ...any) {
	logNRI(ctx, log.ErrorLevel, format, args)
}

// logNRI logs as an error only what is one. NRI calls plugins that hang up so,
// and a build without WebAssembly. Where the plugin was in the middle of a request
// that is worth a warning: the container does without it.
func logNRI(ctx context.Context, level log.Level, format string, args []any) {
	if parting(args) {
		level = log.InfoLevel
		if strings.Contains(format, "failed to handle") {
			level = log.WarnLevel
		}
	}
	log.G(ctx).Logf(level, "NRI: "+format, args...)
}

// parting says whether a message is about the end of a connection, or about
// something that was left out on purpose.
func parting(args []any) bool {
	ordinary := []error{
		ttrpc.ErrClosed, ttrpc.ErrServerClosed, net.ErrClosed, io.EOF, context.Canceled,
		adaptation.ErrWasmDisabled, errStopped,
	}
	return slices.ContainsFunc(args, func(arg any) bool {
		err, ok := arg.(error)
		return ok && (strings.HasSuffix(err.Error(), "connection closed") ||
			slices.ContainsFunc(ordinary, func(o error) bool { return errors.Is(err, o) }))
	})
}
