package doctor

import (
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

// live says whether what runs on the node can be seen.
func (n *node) live() bool { return len(n.processes) > 0 }
