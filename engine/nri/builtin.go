package nri

import (
	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// BuiltinConfig says what [Builtin] may want to know of the host. Its zero value
// works.
type BuiltinConfig struct {
	// HostRoot is where the host's file system is found; see [Border.HostRoot].
	HostRoot string
	// Lookup finds a container and its pod by id, nil, nil where there is none.
	// Without it updates of other containers that come with a creation are denied.
	Lookup func(id string) (*api.PodSandbox, *api.Container)
}

// Builtin gives the guard as a plugin for a daemon that has an adaptation of NRI
// already: pass it to adaptation.WithBuiltinPlugins. It judges the merged
// adjustment of each container being created, by the engine's current rules, and
// its error is the reason of a rejection. It sees nothing else: replies to other
// requests, unsolicited updates and evictions pass by it. It cannot take changes
// out, so that policies which are to strip deny.
//
// Each adaptation needs a plugin of its own.
func Builtin(e *engine.Engine, c BuiltinConfig) *builtin.BuiltinPlugin {
	return newGuard(e, Border{HostRoot: c.HostRoot, Lookup: c.Lookup, NoStrip: true}).plugin()
}
