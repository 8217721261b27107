package nri

import (
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine"
)

// wellKnown are places of the host that policies guard or that hold such places.
// Where one of them is a symbolic link, what it leads to is the same place by
// another name, and a source that names that directly would pass by every policy
// which knows the usual name.
var wellKnown = []string{
	"/boot", "/dev", "/efi", "/etc", "/home", "/home/kubernetes", "/mnt", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/usr", "/var",
	"/etc/cni", "/etc/containerd", "/etc/crio", "/etc/docker", "/etc/kubernetes", "/etc/nri",
	"/opt/cni", "/opt/containerd", "/opt/nri",
	"/usr/lib", "/usr/lib/cni", "/usr/libexec", "/usr/libexec/cni", "/usr/libexec/kubernetes", "/usr/libexec/oci",
	"/usr/local", "/usr/local/lib", "/usr/local/lib/cni", "/usr/share", "/usr/share/containers", "/usr/share/containers/oci",
	"/var/lib", "/var/lib/buildkit", "/var/lib/calico", "/var/lib/cni", "/var/lib/containerd", "/var/lib/containers", "/var/lib/cri-dockerd",
	"/var/lib/crio", "/var/lib/docker", "/var/lib/dockershim", "/var/lib/etcd", "/var/lib/incus", "/var/lib/k0s",
	"/var/lib/kube-proxy", "/var/lib/kubelet", "/var/lib/lxc", "/var/lib/lxd", "/var/lib/machines", "/var/lib/multus", "/var/lib/nerdctl",
	"/var/lib/nri", "/var/lib/rancher", "/var/lib/sysbox", "/var/log", "/var/log/containers", "/var/log/pods", "/var/run",
	"/var/snap", "/var/snap/lxd", "/var/snap/microk8s",
}

// link is a well-known place that leads elsewhere.
type link struct{ place, target string }

// memory is how long [Places] takes for granted what it has seen. Whoever makes one
// of these places a link is the host's administrator, who sets up no trap.
const memory = 10 * time.Second

// Places remembers for some seconds which well-known places of the host are symbolic
// links. The zero value is ready for use, by any number of goroutines.
type Places struct {
	mu    sync.Mutex
	root  string
	until time.Time
	links []link
}

// of returns the links of a host. A nil Places looks each time.
func (p *Places) of(h host) []link {
	if p == nil {
		return h.links()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.root != h.root || now.After(p.until) {
		p.root, p.links, p.until = h.root, host{root: h.root}.links(), now.Add(memory) // for other reviews too
	}
	return p.links
}

// links finds the well-known places that are symbolic links. One below a link is
// found by that link.
func (h host) links() []link {
	var found []link
	root := strings.TrimSuffix(h.root, "/")
	for _, p := range wellKnown {
		var st unix.Stat_t
		if unix.Lstat(root+p, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			continue
		}
		if target := h.resolve(p); target != p {
			found = append(found, link{place: p, target: target})
		}
	}
	return found
}

// aliases names the well-known places that a mount shows by another name.
func (b *binds) aliases(v *engine.Mount) []string {
	if v.Type != "bind" && len(v.Layers) == 0 {
		return nil
	}
	if !b.looked {
		b.links, b.looked = b.places.of(b.host), true
	}
	var names []string
	for _, l := range b.links {
		if v.Type == "bind" {
			names = l.appendNames(names, v.ResolvedSource)
		}
		for _, p := range v.Layers {
			names = l.appendNames(names, p)
		}
	}
	return names
}

// appendNames adds the name that the link gives to a path, or to something below it.
func (l link) appendNames(names []string, p string) []string {
	switch {
	case p == l.target:
		return append(names, l.place)
	case below(p, l.target):
		return append(names, l.place+strings.TrimPrefix(p, l.target))
	case below(l.target, strings.TrimSuffix(p, "/")):
		return append(names, l.place)
	}
	return names
}

// below says whether a path starts with another and a slash.
func below(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}
