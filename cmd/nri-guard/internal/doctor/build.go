package doctor

import (
	"debug/buildinfo"
	"runtime/debug"
	"strconv"
	"strings"
)

// build is what an executable says of what it was built from.
type build struct {
	known bool
	major string // of containerd: its module's path ends in /v2, or does not
	nri   string // version of NRI, "" where it has none
	seen  string // from what this is known, or why it is not
}

// nriModule is the module whose version tells what a runtime's NRI can do.
const nriModule = "github.com/containerd/nri"

// readBuild reads the executable of a runtime. It is not run.
func readBuild(h host, r *runtime) build {
	if r.program == "" {
		return build{seen: "no executable of " + r.name + " was found"}
	}
	info, err := buildinfo.ReadFile(h.place(r.program))
	if r.process != nil { // what runs may have been replaced on disk since
		if running, err2 := buildinfo.ReadFile(r.process.image); err2 == nil {
			info, err = running, nil
		}
	}
	if err != nil {
		return build{seen: r.program + ": does not say what it was built from"}
	}
	b := build{known: len(info.Deps) > 0, major: majorOf(info), seen: r.program + ": built without NRI"}
	if !b.known {
		b.seen = r.program + ": does not say what it was built from"
	}
	for _, m := range info.Deps {
		if m.Path != nriModule {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		b.nri, b.seen = m.Version, r.program+": built with NRI "+m.Version
	}
	return b
}

func majorOf(info *debug.BuildInfo) string {
	if strings.HasPrefix(info.Path, "github.com/containerd/containerd/cmd/") {
		return "1"
	}
	return ""
}

// old says whether it is containerd 1, whose NRI is off unless configured.
func (b build) old() bool { return b.major == "1" }

// validates says whether its NRI asks validators, which it does since 0.10.
func (b build) validates() bool {
	major, minor := numbers(b.nri)
	return major > 0 || minor >= 10
}

// numbers are the first two of a version such as v0.12.5.
func numbers(version string) (major, minor int) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return 0, 0
	}
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}
