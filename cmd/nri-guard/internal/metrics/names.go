package metrics

import (
	"maps"
	"sync"

	"github.com/containerd/nri/pkg/api"
)

// maxOthers is how many plugins that the configuration does not name get a label of
// their own, in the order in which they are seen. A node has a handful; one that
// registers under ever new names must not fill the memory.
const maxOthers = 32

// maxName is the longest name that becomes a label.
const maxName = 64

// other stands for plugins without a label of their own. It is no name of a plugin.
const other = "(other)"

// names bounds the names of plugins. It is safe for concurrent use.
type names struct {
	mu     sync.Mutex
	kept   map[string]bool
	others map[string]bool
}

// keep names the plugins that always have a label of their own.
func (n *names) keep(plugins []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := make(map[string]bool, len(plugins))
	for _, name := range plugins {
		kept[name] = true
	}
	if len(n.kept)+len(kept) < 10*maxOthers {
		maps.Copy(kept, n.kept) // a series goes on when a reload forgets the name
	}
	n.kept = kept
}

// label returns the label for a plugin's name.
func (n *names) label(name string) string {
	if name == "" {
		return none
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case name == none: // which is a name that NRI allows
		return other
	case n.kept[name] || n.others[name]:
		return name
	case len(n.others) >= maxOthers || len(name) > maxName || api.CheckPluginName(name) != nil:
		return other
	}
	if n.others == nil {
		n.others = map[string]bool{}
	}
	n.others[name] = true
	return name
}
