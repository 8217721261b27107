package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

var update = flag.Bool("update", false, "write what was measured into docs/fail-closed.md")

// fate is what becomes of a container for which a plugin asks something.
type fate string

const (
	none      fate = "no container"
	untouched fate = "untouched"  // it runs without what the plugin asks for
	adjusted  fate = "adjusted"   // it runs with it, and may
	unguarded fate = "**passes**" // it runs with it, and may not
)

// A situation is something that happens to the guard. Its steps are the rows of the
// table, measured one after the other.
type situation struct {
	name  string
	steps []step
}

type step struct {
	name string
	do   func(*bench) fate
}

// bench is a node on which situations are measured.
type bench struct {
	*node
	pod    *cri.Pod // nil on Docker
	plugin *process.Process
	count  int
	slow   string // directory with a policy that takes too long
}

var situations = []situation{
	{"the guard runs", []step{{"a container", (*bench).forbidden}}},
	{"killed", []step{
		{"the next container", func(b *bench) fate { b.guard.Kill(); return b.forbidden() }},
		{"containers after it", (*bench).forbidden},
	}},
	{"killed while a container is being created", []step{
		{"that container", (*bench).killedMeanwhile},
		{"containers after it", (*bench).forbidden},
	}},
	{"stopped (SIGSTOP)", []step{
		{"the next container", func(b *bench) fate { must(b.T, b.guard.Freeze()); return b.forbidden() }},
		{"containers after it", (*bench).forbidden},
		{"goes on (SIGCONT) and is connected again", func(b *bench) fate { must(b.T, b.guard.Thaw()); return b.eventually(none, b.forbidden) }},
	}},
	{"a policy takes too long", []step{
		{"a container", func(b *bench) fate {
			b.guard.Stop()
			b.guard.configure("policy: {paths: [" + b.slow + "]}")
			b.guard.start()
			return b.eventually(none, b.harmless)
		}},
		{"containers after it", (*bench).harmless},
	}},
	{"restarted", []step{
		{"containers once it is ready", func(b *bench) fate { b.guard.Stop(); b.guard.start(); b.connected(); return b.forbidden() }},
	}},
	{"the runtime is restarted", []step{
		{"containers before the guard is connected", (*bench).runtimeRestarted},
		{"containers afterwards", func(b *bench) fate { must(b.T, b.guard.Thaw()); return b.eventually(none, b.forbidden) }},
	}},
	{"a policy is broken at a reload", []step{
		{"a container", (*bench).brokenReload},
	}},
	{"the decision log's disk is full", []step{
		{"a container that may be adjusted", (*bench).fullDisk},
		{"the same when there is room again", func(b *bench) fate { must(b.T, os.Remove(b.filler())); return b.harmless() }},
	}},
}

// columns are the set-ups that situations are measured on.
var columns = []struct {
	name string
	setup
}{
	{"validator", setup{mode: validator}},
	{"validator, required", setup{mode: validator, required: []string{"nri-guard"}}},
	{"proxy", setup{mode: proxy}},
	{"proxy, required", setup{mode: proxy, required: []string{"nri-guard-observer"}}},
	{"both", setup{mode: both}},
	{"both, required", setup{mode: both, required: []string{"nri-guard"}}},
	{"dockerd, validator", setup{mode: validator, docker: true}},
	{"dockerd, proxy", setup{mode: proxy, docker: true}},
}

// slowPolicy has no answer in time.
const slowPolicy = `# METADATA
# title: Slow
# description: Takes longer than a decision may.
package nri.policies.slow

deny contains msg if {
	some a in numbers.range(1, 5000)
	some b in numbers.range(1, 5000)
	a * b == -count(input.changes.mount)
	msg := "never"
}
`

// What is measured is what docs/fail-closed.md says.
func TestFailClosed(t *testing.T) {
	table := map[string]map[string]fate{}
	for _, c := range columns {
		table[c.name] = map[string]fate{}
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.setup)
			for _, s := range situations {
				b.recover()
				for _, st := range s.steps {
					table[c.name][s.name+st.name] = st.do(b)
					t.Logf("%s: %s: %s", s.name, st.name, table[c.name][s.name+st.name])
				}
			}
		})
	}
	if t.Failed() || len(flag.Lookup("test.run").Value.String()) > len("FailClosed") {
		return // not all of it was measured
	}
	compareTable(t, "../../docs/fail-closed.md", markdown(table))
}

func newBench(t *testing.T, s setup) *bench {
	prepareHost(t)
	b := &bench{node: start(t, s), slow: policyDir(t, "slow", slowPolicy)}
	must(t, os.MkdirAll(filepath.Dir(b.guard.log), 0o700))
	must(t, unix.Mount("tmpfs", filepath.Dir(b.guard.log), "tmpfs", 0, "size=1m,mode=0700"))
	b.plugin = b.spawn("obedient", "-idx", "10", "-name", "obedient", "-socket", pluginSocket, "-reconnect")
	if b.docker == nil {
		b.pod = b.node.pod("default", nil)
	}
	return b
}

// recover makes everything run as it should, whatever happened before.
func (b *bench) recover() {
	b.Helper()
	b.guard.Stop()
	_ = os.Remove(b.filler())
	b.guard.configure("")
	b.guard.start()
	b.connected()
}

// connected waits until the plugin is, by what it does.
func (b *bench) connected() {
	b.Helper()
	if got := b.eventually(adjusted, b.harmless); got != adjusted {
		b.Fatalf("the plugin does not come back: %s", got)
	}
}

// eventually asks until a container has the wanted fate.
func (b *bench) eventually(want fate, ask func() fate) fate {
	b.Helper()
	got := ask()
	for end := time.Now().Add(patience); got != want && time.Now().Before(end); got = ask() {
		time.Sleep(20 * time.Millisecond)
	}
	return got
}

// forbidden asks for a mount of the host's /etc.
func (b *bench) forbidden() fate { return b.ask("/etc", 0) }

// harmless asks for a mount that may be.
func (b *bench) harmless() fate { return b.ask(sharedDir, 0) }

// ask creates a container for which the plugin asks for a mount, after so many
// milliseconds.
func (b *bench) ask(source string, hang int) fate {
	b.Helper()
	options := `"bind", "ro"`
	if b.docker != nil {
		options = `"ro"` // it knows no other
	}
	b.count++
	there, err := b.look(map[string]string{"obedient.e2e": fmt.Sprintf(
		`{"hang": %d, "adjust": {"mounts": [{"destination": "/mnt", "type": "bind", "source": %q, "options": [%s]}]}}`, hang, source, options)})
	switch {
	case err != nil:
		b.Logf("  the user is told: %v", err)
		return none
	case !there:
		return untouched
	case source == sharedDir:
		return adjusted
	}
	return unguarded
}

// look runs a container and says whether something is mounted in it.
func (b *bench) look(labels map[string]string) (bool, error) {
	const script = "ls /mnt"
	if b.docker != nil {
		out, err := b.docker.Run(b.ctx, labels, "sh", "-c", script)
		return strings.TrimSpace(out) != "", err
	}
	c, err := b.pod.Create(b.ctx, fmt.Sprintf("app%d", b.count), func(c *runtime.ContainerConfig) { c.Labels = labels })
	if err != nil {
		return false, err
	}
	err = c.Start(b.ctx)
	out, err2 := c.Exec(b.ctx, "sh", "-c", script)
	if err := errors.Join(err, err2, c.Stop(b.ctx), c.Remove(b.ctx)); err != nil {
		b.Errorf("a container that was created: %v", err)
	}
	return out != "", nil
}

// killedMeanwhile kills the guard while NRI waits for the plugin.
func (b *bench) killedMeanwhile() fate {
	must(b.T, os.Truncate(b.plugin.Log, 0))
	answer := make(chan fate)
	go func() { answer <- b.ask("/etc", 1000) }()
	b.logs(b.plugin, "hangs")
	b.guard.Kill()
	return <-answer
}

// runtimeRestarted restarts the runtime while the guard cannot connect to it.
func (b *bench) runtimeRestarted() fate {
	must(b.T, b.guard.Freeze())
	must(b.T, os.Truncate(b.plugin.Log, 0))
	if b.docker != nil {
		must(b.T, b.docker.Restart(b.ctx))
	} else {
		must(b.T, b.containerd.Restart(b.ctx))
	}
	if !b.mode.relays() {
		b.logs(b.plugin, "registered")
	}
	return b.forbidden()
}

// brokenReload breaks a policy and has the guard reload.
func (b *bench) brokenReload() fate {
	dir := policyDir(b.T, "broken", strings.Replace(slowPolicy, "deny contains msg if {", "deny contains {", 1))
	b.guard.configure("policy: {paths: [" + dir + "]}")
	must(b.T, b.guard.Signal(syscall.SIGHUP))
	b.guard.waitFor("the health check tells of the failed reload", func(ctx context.Context) error {
		_, body, err := b.guard.get(ctx, "/readyz")
		if err == nil && !strings.Contains(body, "reload failed") {
			err = errors.New(body)
		}
		return err
	})
	return b.forbidden()
}

// filler is a file that fills the decision log's disk.
func (b *bench) filler() string { return filepath.Join(filepath.Dir(b.guard.log), "filler") }

func (b *bench) fullDisk() fate {
	f, err := os.Create(b.filler())
	must(b.T, err)
	for block := make([]byte, 1<<12); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		b.Fatal(err)
	}
	must(b.T, f.Close())
	return b.eventually(none, b.harmless) // what fits into the log's last block is recorded still
}

// markdown writes the table.
func markdown(table map[string]map[string]fate) string {
	var s strings.Builder
	s.WriteString("| what happens | to |")
	for _, c := range columns {
		s.WriteString(" " + c.name + " |")
	}
	s.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, situation := range situations {
		for i, st := range situation.steps {
			first := situation.name
			if i > 0 {
				first = ""
			}
			fmt.Fprintf(&s, "| %s | %s |", first, st.name)
			for _, c := range columns {
				fmt.Fprintf(&s, " %s |", table[c.name][situation.name+st.name])
			}
			s.WriteString("\n")
		}
	}
	return s.String()
}

// compareTable holds what was measured against what a document says between its marks.
func compareTable(t *testing.T, file, got string) {
	t.Helper()
	const begin, end = "<!-- measured -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	must(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	want, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks", file)
	}
	t.Logf("measured:\n%s", got)
	if *update {
		must(t, os.WriteFile(file, []byte(before+begin+got+end+after), 0o644))
		return
	}
	if got != want {
		t.Errorf("%s says otherwise; if that is right, run the tests with -update:\n%s", file, want)
	}
}
