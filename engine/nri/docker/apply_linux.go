package docker

import (
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// rlimitPrefix is what Docker puts before a limit's name for the OCI runtime.
const rlimitPrefix = "RLIMIT_"

// rlimitNames are the limits of Linux, getrlimit(2), as Docker calls them.
var rlimitNames = []string{
	"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
	"rtprio", "rttime", "sigpending", "stack",
}

// rlimits replace limits of the same name.
func (x *change) rlimits(list []*api.POSIXRlimit) {
	var set []string
	for _, l := range list {
		kind := l.GetType()
		name := strings.ToLower(strings.TrimPrefix(kind, rlimitPrefix))
		switch {
		case !slices.Contains(rlimitNames, name) || kind != rlimitPrefix+strings.ToUpper(name):
			x.refuse("rlimits[%s]: no limit of Linux", kind)
		case slices.Contains(set, name):
			x.refuse("rlimits[%s]: given twice", kind)
		case l.GetSoft() > l.GetHard():
			x.refuse("rlimits[%s]: the soft limit is above the hard one", kind)
		}
		set = append(set, name)
		x.host.Ulimits = slices.DeleteFunc(slices.Clone(x.host.Ulimits), func(u *container.Ulimit) bool {
			return u != nil && strings.ToLower(u.Name) == name
		})
		// Numbers beyond int64 come out negative, and right again on Docker's way back.
		x.host.Ulimits = append(x.host.Ulimits, &container.Ulimit{Name: name, Hard: int64(l.GetHard()), Soft: int64(l.GetSoft())})
	}
}

// oomScoreAdj is bounded as in proc(5).
func (x *change) oomScoreAdj(score *api.OptionalInt) {
	if score == nil {
		return
	}
	if n := score.GetValue(); n < -1000 || n > 1000 {
		x.refuse("linux.oomScoreAdj: %d is not between -1000 and 1000", n)
		return
	}
	x.host.OomScoreAdj = int(score.GetValue())
}

// cgroupsPath sets the parent, when Docker would make the path out of it again.
func (x *change) cgroupsPath(p string) {
	if p == "" || p == cgroupsPathOf(x.host.CgroupParent, x.was.ID) {
		return
	}
	parent, isSystemd := strings.CutSuffix(p, ":docker:"+x.was.ID)
	if !isSystemd {
		parent = path.Dir(p)
		if !isPlain(p) {
			parent = ""
		}
	}
	if parent == "" || cgroupsPathOf(parent, x.was.ID) != p {
		x.refuse("linux.cgroupsPath: %q is neither PARENT/%[2]s nor NAME.slice:docker:%[2]s", p, x.was.ID)
		return
	}
	x.host.CgroupParent = parent
}

// namespaces become modes, one after the other.
func (x *change) namespaces(list []*api.LinuxNamespace) {
	for _, n := range list {
		kind, marked := api.IsMarkedForRemoval(n.GetType())
		if n.GetPath() != "" && !marked {
			x.refuse("linux.namespaces[%s]: a namespace by its path", kind)
			continue
		}
		x.namespaceMode(kind, marked)
	}
}

// namespaceMode knows the modes that do what NRI's generator does and nothing else;
// those of network, ipc and user also change networks, shared memory and files.
func (x *change) namespaceMode(kind string, host bool) {
	switch {
	case kind == "pid" && host:
		x.host.PidMode = "host"
	case kind == "pid":
		x.host.PidMode = ""
	case kind == "uts" && host:
		x.host.UTSMode = "host"
	case kind == "uts":
		x.host.UTSMode = ""
	case kind == "cgroup" && host:
		x.host.CgroupnsMode = container.CgroupnsModeHost
	case kind == "cgroup":
		x.host.CgroupnsMode = container.CgroupnsModePrivate
	default:
		x.refuse("linux.namespaces[%s]", kind)
	}
}
