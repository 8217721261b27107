package engine

import (
	"cmp"

	"github.com/containerd/nri/pkg/api"
)

// Version is the version of the review document that this build writes.
const Version = 1

// Operation names what the plugins were asked about when they proposed the
// changes under review. The names are those of NRI's protocol.
type Operation string

// The operations that can be reviewed.
const (
	CreateContainer  Operation = "CreateContainer"  // adjustment of a container being created, updates of others
	UpdateContainer  Operation = "UpdateContainer"  // updates in reply to an update requested by the runtime
	StopContainer    Operation = "StopContainer"    // updates in reply to a container's stop
	Synchronize      Operation = "Synchronize"      // updates in reply to a plugin's synchronisation
	UpdateContainers Operation = "UpdateContainers" // unsolicited updates
	RegisterPlugin   Operation = "RegisterPlugin"   // a plugin wants to register
)

// Operations lists every [Operation].
func Operations() []Operation {
	return []Operation{CreateContainer, UpdateContainer, StopContainer, Synchronize, UpdateContainers, RegisterPlugin}
}

// Review is one question: may this operation, on this container, with these
// changes, by these plugins go on. Its exported fields with a JSON name are the
// review document that policies see as input (package engine/document shows
// how); the others are for Go alone.
//
// Pod and Container are NRI's own messages and must not be modified: NRI shows
// the same message to several validators at a time.
type Review struct {
	Version   int             `json:"version" doc:"version of this document, 1"`
	Operation Operation       `json:"operation" doc:"what the plugins were asked about"`
	Runtime   Runtime         `json:"runtime" doc:"the container runtime"`
	Plugin    Plugin          `json:"plugin" doc:"the plugin being judged; empty names where the adjustment is merged"`
	Plugins   []Plugin        `json:"plugins" doc:"the plugins consulted"`
	Pod       *api.PodSandbox `json:"pod" doc:"the pod, as NRI gives it"`
	Container *api.Container  `json:"container" doc:"the container before the change"`
	// Changes is sorted by field, key and position. In the document it is an
	// object by field; see engine/document.
	Changes []*Change `json:"changes" doc:"what would become different, by field; env is an object by variable name"`

	// Malformed says why no runtime could carry out the changes as written. Any
	// entry is a [Failure] that denies whatever the policies say.
	Malformed []string `json:"-"`
	// Strip returns the review that remains when the changes with the given ids
	// are taken out, together with whatever cannot stand without them (the other
	// half of a replacement, the cgroup rule of a device). It leaves the receiver
	// as it was. Nil where one may only accept or reject: there [Strip] enforces
	// like [Deny].
	Strip func(r *Review, ids []string) (*Review, error) `json:"-"`
	// Messages holds the border's own messages that this review was built from,
	// so that it can apply an approved review. The engine does not look at it.
	Messages any `json:"-"`
}

// Runtime names the container runtime.
type Runtime struct {
	Name    string `json:"name" doc:"name of the runtime, as it reports it to plugins"`
	Version string `json:"version" doc:"version of the runtime"`
}

// Plugin names an NRI plugin. Name and index are what the plugin says of
// itself; only an [Identity] is observed.
type Plugin struct {
	Name     string    `json:"name" doc:"name without the index; empty where nobody or more than one can be named"`
	Index    string    `json:"index" doc:"two digits"`
	Identity *Identity `json:"identity,omitempty" doc:"who is at the other end of the connection, where that can be known"`
}

// String gives the name as NRI writes it, INDEX-NAME, or "" for the zero value.
func (p Plugin) String() string {
	if p.Name == "" && p.Index == "" {
		return ""
	}
	return p.Index + "-" + p.Name
}

// ComparePlugins orders plugins as NRI does, by index and name, and those that go by one
// name by their processes.
func ComparePlugins(a, b Plugin) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Name, b.Name), cmp.Compare(a.pid(), b.pid()))
}

func (p Plugin) pid() int64 {
	if p.Identity == nil {
		return 0
	}
	return p.Identity.PID
}

// Identity is what was observed of the process at the other end of a plugin's
// connection.
type Identity struct {
	PID    int64  `json:"pid" doc:"process id, as the guard sees it"`
	UID    int64  `json:"uid" doc:"user id"`
	GID    int64  `json:"gid" doc:"group id"`
	Exe    string `json:"exe" doc:"path of the executable"`
	SHA256 string `json:"sha256" doc:"digest of the executable, in lower-case hexadecimal"`
	Cgroup string `json:"cgroup" doc:"cgroup path"`
	Unit   string `json:"unit" doc:"systemd unit or container id, from the cgroup"`
}

// Change returns the change with the given id, or nil.
func (r *Review) Change(id string) *Change {
	for _, c := range r.Changes {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// Common returns what two identities have in common: what differs is as if it could
// not be observed, and so matches nothing that is demanded.
func (id *Identity) Common(other *Identity) *Identity {
	if *id == *other {
		return id
	}
	number := func(a, b, unknown int64) int64 {
		if a == b {
			return a
		}
		return unknown
	}
	text := func(a, b string) string {
		if a == b {
			return a
		}
		return ""
	}
	return &Identity{
		PID: number(id.PID, other.PID, 0), UID: number(id.UID, other.UID, -1), GID: number(id.GID, other.GID, -1),
		Exe: text(id.Exe, other.Exe), SHA256: text(id.SHA256, other.SHA256),
		Cgroup: text(id.Cgroup, other.Cgroup), Unit: text(id.Unit, other.Unit),
	}
}
