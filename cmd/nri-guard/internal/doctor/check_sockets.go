package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// modeOf says what a file's mode is, and whose it is where that matters.
func modeOf(p string, info fs.FileInfo) string {
	said := fmt.Sprintf("%s has mode %s", p, info.Mode())
	if uid := stranger(info); uid != 0 {
		said += fmt.Sprintf(" and belongs to user %d", uid)
	}
	return said
}

// stranger is the owner of a file that is neither root nor who runs this program, 0 where
// there is none such.
func stranger(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return 0
	}
	return int(stat.Uid)
}

// closed says whether nobody but root gets through a directory.
func closed(dir fs.FileInfo) bool { return dir.Mode().Perm()&0o077 == 0 && stranger(dir) == 0 }

// connectable says whether others than root may connect to a socket: who may write it, and its
// owner, who may always give himself leave to.
func connectable(socket fs.FileInfo) bool {
	return socket.Mode().Perm()&0o022 != 0 || stranger(socket) != 0
}

// closing is the command that closes a directory to all but root.
func closing(dir string, info fs.FileInfo) string {
	command := "chmod 0700 " + dir
	if stranger(info) != 0 {
		command = "chown root:root " + dir + "\n" + command
	}
	return command
}

// checkSocketModes finds sockets that others than root may connect to.
func checkSocketModes(n *node) []Finding {
	all := n.each(func(r *runtime) []Finding {
		socket, at := r.socket()
		if socket == "" || n.proxies() && n.host.same(socket, n.Guard.Proxy.Socket) {
			return nil
		}
		info, dir, ok := n.socketAt(socket)
		if !ok || !connectable(info) {
			return nil
		}
		return one(Finding{
			Severity: FailOpen, Summary: "others than root may connect to its NRI socket",
			Meaning:  "Any of them is a plugin, under any name: also under the guard's, which is all that a required plugin is known by.",
			Evidence: []string{at, modeOf(socket, info)},
			Fix: &Fix{Do: atBoot("Close the directory of the socket; the runtime chooses the socket's own mode at every start", path.Dir(socket)),
				Paste: closing(path.Dir(socket), dir)},
		})
	})
	if n.proxies() {
		all = append(all, n.given()...)
		all = append(all, n.changedSocket()...)
	}
	return append(all, n.closedDir()...)
}

// socketAt is a socket, and its directory, unless nobody but root gets to it.
func (n *node) socketAt(socket string) (info, dir fs.FileInfo, ok bool) {
	info, err := n.host.stat(socket)
	dir, err2 := n.host.stat(path.Dir(socket))
	return info, dir, err == nil && err2 == nil && !closed(dir)
}

// given finds a socket of the guard's that the configuration gives to others.
func (n *node) given() []Finding {
	p := n.Guard.Proxy
	f := Finding{
		About: "guard", Severity: Weak, Summary: "others than root may connect to the guard's socket",
		Meaning: "Whoever may connect is a plugin and has the grants of the name that it chooses, unless an identity is demanded.",
		Fix:     &Fix{Do: "Unless a plugin needs it, let only root connect; demand identities", File: n.Guard.File},
	}
	switch group := p.Mode.Perm()&0o022 != 0; {
	case group && p.Owner != 0:
		f.Fix.Paste = `proxy: {uid: 0, mode: "0600"}`
	case group:
		f.Fix.Paste = `proxy: {mode: "0600"}`
	case p.Owner != 0:
		f.Fix.Paste = `proxy: {uid: 0}`
	default:
		return nil
	}
	if p.Mode.Perm()&0o022 != 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s = %04o", n.Guard.At("proxy.mode"), p.Mode.Perm()))
	}
	if p.Owner != 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s = %d", n.Guard.At("proxy.uid"), p.Owner))
	}
	return one(f)
}

// changedSocket finds a socket of the guard's that is for others than the configuration says.
func (n *node) changedSocket() []Finding {
	p := n.Guard.Proxy
	info, _, ok := n.socketAt(p.Socket)
	if !ok || !connectable(info) {
		return nil
	}
	owner := stranger(info)
	if info.Mode().Perm()&0o022&^p.Mode.Perm() == 0 && (owner == 0 || owner == p.Owner) {
		return nil
	}
	return one(Finding{
		About: "guard", Severity: Weak, Summary: "others may connect to the guard's socket than its configuration says",
		Meaning:  "Somebody has changed the socket since the guard made it. Whoever may connect is a plugin and has the grants of the name that it chooses, unless an identity is demanded.",
		Evidence: []string{modeOf(p.Socket, info), fmt.Sprintf("the guard makes it with mode %04o, for user %d", p.Mode.Perm(), p.Owner)},
		Fix:      &Fix{Do: "Have the guard make it anew, and find out who changed it", Paste: "systemctl restart nri-guard"},
	})
}

// closedDir finds a directory that keeps from the guard's socket whom it was given to.
func (n *node) closedDir() []Finding {
	if !n.proxies() || n.Guard.Proxy.Others == "" {
		return nil
	}
	dir := path.Dir(n.Guard.Proxy.Socket)
	info, err := n.host.stat(dir)
	if err != nil || info.Mode().Perm()&0o011 != 0 {
		return nil // the guard makes one that lets them through
	}
	return one(Finding{
		About: "guard", Severity: Weak, Summary: "the guard's socket is for others too, but they do not get through to it",
		Meaning:  "Plugins that are not root's cannot connect, so that containers are created without them.",
		Evidence: []string{n.Guard.At(n.Guard.Proxy.Others), modeOf(dir, info)},
		Fix:      &Fix{Do: atBoot("Open the directory", dir), Paste: "chmod 0755 " + dir},
	})
}
