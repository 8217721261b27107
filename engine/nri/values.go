package nri

import (
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// insideRoot cleans a path in the container: relative ones count from its root,
// and none leads out of it.
func insideRoot(p string) string {
	if !path.IsAbs(p) {
		p = "/" + p
	}
	return path.Clean(p)
}

func hookValue(h *api.Hook) *engine.Hook {
	v := &engine.Hook{Path: h.GetPath(), Args: h.GetArgs(), Env: h.GetEnv(), Timeout: h.GetTimeout().GetValue()}
	// What lies behind .. depends on links: such a path is left as it is, and is none
	// that anybody would grant.
	if path.IsAbs(v.Path) && !strings.Contains(v.Path, "..") {
		v.Path = path.Clean(v.Path)
	}
	return v
}

// cdiValue splits VENDOR/CLASS=NAME (Container Device Interface, "Device name").
func cdiValue(name string) *engine.CDIDevice {
	kind, device, _ := strings.Cut(name, "=")
	vendor, class, _ := strings.Cut(kind, "/")
	return &engine.CDIDevice{Vendor: vendor, Class: class, Name: device}
}

func ruleValue(r *api.LinuxDeviceCgroup) *engine.DeviceRule {
	v := &engine.DeviceRule{Allow: r.GetAllow(), Type: r.GetType(), Access: r.GetAccess()}
	if r.GetMajor() != nil {
		v.Major = new(r.GetMajor().GetValue())
	}
	if r.GetMinor() != nil {
		v.Minor = new(r.GetMinor().GetValue())
	}
	return v
}

// sysctlName writes a kernel parameter with dots, as the OCI runtime reads it: the
// separator that comes first separates, and where that is a slash, dots and slashes
// change places (sysctl.d(5)). Doubled separators come to the same file.
func sysctlName(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		name = strings.Map(func(r rune) rune {
			switch r {
			case '/':
				return '.'
			case '.':
				return '/'
			}
			return r
		}, name)
	}
	if !strings.Contains(name, "..") && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".") {
		return name
	}
	parts := slices.DeleteFunc(strings.Split(name, "."), func(s string) bool { return s == "" })
	return strings.Join(parts, ".")
}
