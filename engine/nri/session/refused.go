package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
)

// explain says what to do about a registration that came to nothing. NRI checks
// the events that a plugin wants after it has answered it, writes what is wrong
// to the runtime's log and closes the connection.
func (c *connection) explain(err error) error {
	configured := false
	select {
	case <-c.asked:
		configured = true
	default:
	}
	_, validates := c.session.cfg.Plugin.(stub.ValidateContainerAdjustmentInterface)
	st := c.session.Status()
	name := strings.TrimSpace(st.Runtime.Name + " " + st.Runtime.Version)
	switch {
	case validates && (strings.Contains(err.Error(), "invalid plugin events") || configured && mayBeTooOld(st)):
		return fmt.Errorf("the runtime (%s) refused the plugin: it is too old to have containers validated by plugins, "+
			"which takes containerd 2.2, CRI-O 1.34 or dockerd 29; update it, or use the proxy instead of the validator (%w)",
			name, err)
	case configured:
		return fmt.Errorf("the runtime (%s) refused the plugin after it was configured; the runtime's log says why: %w", name, err)
	case errors.Is(err, errClosed), errors.Is(err, ttrpc.ErrClosed):
		return fmt.Errorf("the runtime did not take the plugin in; the runtime's log says why: %w", err)
	}
	return fmt.Errorf("the runtime did not register the plugin: %w", err)
}

// mayBeTooOld says whether NRI may be older than 0.10, which brought validation.
// Such a runtime does not tell its NRI's version; the stub knows some of them by
// their own.
func mayBeTooOld(st Status) bool {
	version := st.NRI
	if version == "" || version == api.UnknownVersion || version == api.DevelVersion {
		inferred, err := api.InferVersionFromRuntime(st.Runtime.Name, st.Runtime.Version)
		if err != nil {
			return version == ""
		}
		version = inferred
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d", &major, &minor); err != nil {
		return false
	}
	return major == 0 && minor < 10
}
