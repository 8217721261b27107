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
	"time"
)

// process is a process of the node.
type process struct {
	pid    int
	exe    string // path of its executable on the node
	image  string // where the executable that runs can be read, whatever happened to its file
	args   []string
	cgroup string
	began  time.Time // zero where it cannot be told
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
	boot := h.boot()
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
		p := &process{pid: pid, exe: strings.TrimSuffix(exe, " (deleted)"), image: image, cgroup: string(cgroup), began: h.began(boot, e.Name())}
		if words := strings.Split(strings.TrimRight(string(args), "\x00"), "\x00"); len(words) > 1 {
			p.args = words[1:]
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *process) int { return a.pid - b.pid })
	return all
}

// clockTicks is how many ticks of /proc/PID/stat make a second: the kernel's USER_HZ, which
// is the same on every machine that the guard is built for.
const clockTicks = 100

// unit is the systemd service that the process belongs to, "" where that cannot be seen.
func (p *process) unit() string {
	for part := range strings.SplitSeq(strings.TrimSpace(p.cgroup), "/") {
		if name, ok := strings.CutSuffix(part, ".service"); ok {
			return name
		}
	}
	return ""
}

// boot is when the node was started, by its clock of today; zero where that cannot be told.
func (h host) boot() time.Time {
	table, _ := os.ReadFile(h.proc("stat")) // without it there is no such line
	for line := range strings.Lines(string(table)) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}

// began is when a process was started, which its entry counts from the boot.
func (h host) began(boot time.Time, pid string) time.Time {
	said, _ := os.ReadFile(h.proc(pid, "stat")) // without it there are too few fields
	fields := strings.Fields(string(said[bytes.LastIndexByte(said, ')')+1:]))
	if boot.IsZero() || len(fields) < 20 {
		return time.Time{}
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64) // starttime, the 22nd of all
	if err != nil {
		return time.Time{}
	}
	return boot.Add(time.Duration(ticks) * time.Second / clockTicks)
}

// live says whether what runs on the node can be seen.
func (n *node) live() bool { return len(n.processes) > 0 }
