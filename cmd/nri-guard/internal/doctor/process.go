package doctor

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// process is a process of the node.
type process struct {
	pid    int
	exe    string // path of its executable on the node
	image  string // where the executable that runs can be read, whatever happened to its file
	args   []string
	cgroup string
}

// String names the process.
func (p *process) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.exe) }

// guards says whether it is the guard's service. Other commands of the same program, such
// as this one, are not.
func (p *process) guards() bool {
	return path.Base(p.exe) == "nri-guard" && slices.Contains(p.args, "run")
}

// inPod says whether the process is in a container of Kubernetes.
func (p *process) inPod() bool { return strings.Contains(p.cgroup, "kubepods") }

// proc is the node's /proc. It may be missing, where root is an image of a node.
func (h host) proc(parts ...string) string {
	return filepath.Join(append([]string{h.root, "proc"}, parts...)...)
}

// processes lists what runs on the node. Those whose executable cannot be read are
// kernel threads, or have ended.
func (h host) processes() []*process {
	entries, err := os.ReadDir(h.proc())
	if err != nil {
		return nil
	}
	var all []*process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		image := h.proc(e.Name(), "exe")
		exe, err := os.Readlink(image)
		if err != nil {
			continue
		}
		args, _ := os.ReadFile(h.proc(e.Name(), "cmdline")) // without it there are no flags to see
		cgroup, _ := os.ReadFile(h.proc(e.Name(), "cgroup"))
		p := &process{pid: pid, exe: strings.TrimSuffix(exe, " (deleted)"), image: image, cgroup: string(cgroup)}
		if words := strings.Split(strings.TrimRight(string(args), "\x00"), "\x00"); len(words) > 1 {
			p.args = words[1:]
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *process) int { return a.pid - b.pid })
	return all
}

// listening is the flag of a socket in /proc/net/unix that accepts connections.
const listening = 0x10000

// listeners finds who listens on a unix socket, by the kernel's table: nothing is
// connected to. More than one is possible, when the file of a socket was replaced and the old
// one is still served. known is false where the table cannot be read or does not lead to
// a process.
func (n *node) listeners(socket string) (found []*process, known bool) {
	table, err := os.ReadFile(n.host.proc("1", "net", "unix")) // the node's own network namespace
	if err != nil {
		return nil, false
	}
	want := n.host.real(socket)
	for line := range bytes.Lines(table) {
		inode, name := socketOf(string(line))
		if name == "" || n.host.real(name) != want {
			continue
		}
		p := n.holder(inode)
		if p == nil {
			return nil, false
		}
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found, true
}

// socketOf takes a line of /proc/net/unix apart; name is "" when nobody can connect to it.
func socketOf(line string) (inode, name string) {
	fields := strings.Fields(line)
	if len(fields) < 8 || !path.IsAbs(fields[7]) {
		return "", ""
	}
	if flags, err := strconv.ParseUint(fields[3], 16, 64); err != nil || flags&listening == 0 {
		return "", ""
	}
	return fields[6], strings.Join(fields[7:], " ")
}

// holder finds the process that has a socket open. A process that was forked from it
// may have it too; the eldest is taken.
func (n *node) holder(inode string) *process {
	want := "socket:[" + inode + "]"
	for _, p := range n.processes {
		dir := n.host.proc(strconv.Itoa(p.pid), "fd")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == want {
				return p
			}
		}
	}
	return nil
}

// live says whether what runs on the node can be seen.
func (n *node) live() bool { return len(n.processes) > 0 }
