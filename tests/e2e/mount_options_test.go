package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// Spellings with which a plugin could try to get at the host's files past the default
// policies: what these let through must not show them, on a real kernel.
var hostileMounts = []struct{ name, mount string }{
	{"move option on bind", `"type": "bind", "source": "/etc", "options": ["move", "ro"]`},
	{"move option on none", `"type": "none", "source": "/etc", "options": ["move", "ro"]`},
	{"move option on tmpfs", `"type": "tmpfs", "source": "/etc", "options": ["move", "ro"]`},
	{"rmove option", `"type": "tmpfs", "source": "/etc", "options": ["rmove", "ro"]`},
	{"subdir of tmpfs", `"type": "tmpfs", "source": "/", "options": ["X-mount.subdir=etc", "ro"]`},
	{"subdir of a harmless bind", `"type": "bind", "source": "/srv", "options": ["bind", "ro", "X-mount.subdir=../etc"]`},
	{"subdir with an x", `"type": "bind", "source": "/srv", "options": ["bind", "ro", "x-mount.subdir=../etc"]`},
	{"upper-case LOWERDIR", `"type": "overlay", "source": "overlay", "options": ["ro", "LOWERDIR=/etc:/srv"]`},
	{"mixed-case Lowerdir", `"type": "overlay", "source": "overlay", "options": ["ro", "Lowerdir=/etc", "lowerdir=/srv:/opt"]`},
	{"upper-case type", `"type": "OVERLAY", "source": "overlay", "options": ["ro", "lowerdir=/etc:/srv"]`},
	{"overlay's directory with a space", `"type": "overlay", "source": "overlay", "options": ["ro", " lowerdir=/etc:/srv"]`},
	{"overlay's directory in quotes", `"type": "overlay", "source": "overlay", "options": ["ro", "\"lowerdir=/etc:/srv\""]`},
	{"layers in tmpfs", `"type": "tmpfs", "source": "overlay", "options": ["ro", "LOWERDIR=/etc:/srv"]`},
	{"upper-case BIND", `"type": "tmpfs", "source": "/etc", "options": ["BIND", "ro"]`},
	{"upper-case type BIND", `"type": "BIND", "source": "/etc", "options": ["ro"]`},
	{"bind with spaces", `"type": "tmpfs", "source": "/etc", "options": [" bind", "rbind ", "ro"]`},
	{"mqueue with a source", `"type": "mqueue", "source": "/etc", "options": ["ro"]`},
	{"remount of nothing", `"type": "tmpfs", "source": "/etc", "options": ["remount", "bind", "ro"]`},
	{"copy up", `"type": "tmpfs", "source": "/etc", "options": ["tmpcopyup", "ro"]`},
	{"no type", `"source": "/etc", "options": ["ro"]`},
	{"no type, but bind", `"source": "/etc", "options": ["bind", "ro"]`},
	{"identity mapping", `"type": "tmpfs", "source": "/etc", "options": ["idmap", "ro"]`},
	{"bind by its flags glued", `"type": "tmpfs", "source": "/etc", "options": ["ro,rbind"]`},
	{"source from the options", `"type": "tmpfs", "source": "tmpfs", "options": ["source=/etc", "ro"]`},
	{"a disk's root by its source", `"type": "ext4", "source": "/dev/vda", "options": ["ro"]`},
	{"a plain bind", `"type": "bind", "source": "/etc", "options": ["bind", "ro"]`},
	{"a plain overlay", `"type": "overlay", "source": "overlay", "options": ["ro", "lowerdir=/etc:/srv"]`},
}

// What the guard lets through does not show the host's files, and the plain spellings
// would.
func TestHostileMounts(t *testing.T) {
	for _, m := range []mode{direct, validator, proxy} {
		t.Run(string(m), func(t *testing.T) {
			n := start(t, setup{mode: m})
			n.obedient("10", "obedient")
			reached := 0
			for i, h := range hostileMounts {
				what := n.hostile(fmt.Sprintf("app%d", i), h.mount)
				t.Logf("%-35s %s", h.name, what)
				if what == reaches {
					reached++
				}
			}
			if guarded := m != direct; guarded == (reached > 0) {
				t.Errorf("%d of the spellings reach the host's files", reached)
			}
		})
	}
}

const reaches = "reaches the host's files"

// hostile says what comes of a mount that a plugin asks for.
func (n *node) hostile(name, mount string) string {
	n.Helper()
	pod := n.pod("default", orders("obedient", name, `{"adjust": {"mounts": [{"destination": "/mnt", `+mount+`}]}}`))
	c, err := pod.Create(n.ctx, name)
	if err != nil {
		return "rejected"
	}
	if err := c.Start(n.ctx); err != nil {
		return "does not start"
	}
	if strings.Contains(n.exec(c, "ls", "/mnt/"), "debian_version") {
		return reaches
	}
	return "harmless"
}
