// Package systemd tells the service manager how the service is doing, as sd_notify(3)
// has it. Where there is none, everything here does nothing.
package systemd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/log"
	"github.com/coreos/go-systemd/v22/daemon"
)

// socketVariable names the socket of the service manager.
const socketVariable = "NOTIFY_SOCKET"

// Ready says that the service is ready, or has been reloaded.
func Ready(ctx context.Context, status string) {
	notify(ctx, daemon.SdNotifyReady, "STATUS="+line(status))
}

// Status says in a few words how the service is doing.
func Status(ctx context.Context, status string) { notify(ctx, "STATUS="+line(status)) }

// Waiting says that the service is not ready yet and has not hung: the manager is to
// wait for it that much longer. The time must not be shorter than it takes to say so
// again.
func Waiting(ctx context.Context, status string, longer time.Duration) {
	notify(ctx, "STATUS="+line(status), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", longer.Microseconds()))
}

// Reloading says that the service is being reloaded; Ready says when that has ended,
// well or not.
func Reloading(ctx context.Context) {
	notify(ctx, daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// Stopping says that the service is ending.
func Stopping(ctx context.Context) { notify(ctx, daemon.SdNotifyStopping, "STATUS=Stopping") }

// Watchdog says, twice in the time that the manager allows, that the service is alive,
// as long as healthy returns nil, until ctx ends. It returns at once where the manager
// does not want to know.
func Watchdog(ctx context.Context, healthy func(context.Context) error) {
	allowed, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.G(ctx).WithError(err).Warn("The service manager's watchdog is not told anything")
	}
	if err != nil || allowed <= 0 {
		return
	}
	ticker := time.NewTicker(allowed / 2)
	defer ticker.Stop()
	for {
		if err := healthy(ctx); err == nil {
			notify(ctx, daemon.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			log.G(ctx).WithError(err).Error("Not healthy: the service manager's watchdog is not told to wait")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func notify(ctx context.Context, state ...string) {
	if os.Getenv(socketVariable) == "" {
		return
	}
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		log.G(ctx).WithError(err).Warn("The service manager could not be told " + strings.Join(state, " "))
	}
}

// line makes one line of a text: a second one would be taken for another assignment.
func line(text string) string { return strings.ReplaceAll(text, "\n", "; ") }
