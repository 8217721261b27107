package doctor

import (
	"context"
	"io/fs"
	"strings"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/trust"
)

// Guard is what the guard is configured to do.
type Guard struct {
	File string // its configuration file
	// At says where in the file a key stands, as FILE:LINE: KEY.
	At func(key string) string

	Runtime   string // the runtime's NRI socket
	Validator string // name that it validates under, "" when it does not
	Proxy     *Proxy // nil when it is none

	Revision   string // of the policies, as the guard says it once it goes by them
	Profile    string // profile of the library that is enforced
	Policies   []Policy
	Exemptions []engine.Exemption
	Grants     []Grant
	Wasm       bool // whether there are WebAssembly validators

	AuditPath  string
	BestEffort bool
	Admin      string // address of /readyz, "" for none

	// Untrusted are files that decide and that others may write; the guard does not
	// start with them.
	Untrusted []error
}

// Proxy is the guard between plugins and runtime.
type Proxy struct {
	Socket string // that plugins connect to
	Mode   fs.FileMode
	Owner  int    // of the socket, 0 unless it is given away
	Others string // the key that gives the socket to others than root, "" for none
	Launch string // directory of the plugins that it starts, "" for none
	DropIn string // directory of their configuration, "" for none
}

// Policy is a policy that was loaded.
type Policy struct {
	Name        string
	Enforcement engine.Enforcement // what is in force
	Library     bool
	// Lowered is where the configuration, or a policy of one's own, says that it is only
	// audited or off; "" where it says no such thing.
	Lowered string
}

// Grant is what the doctor needs to know of the grants of one plugin.
type Grant struct {
	At         string // where in the configuration
	Plugin     string
	Identified bool
	Grants     int
}

// Options say what is to be looked at.
type Options struct {
	// Root is the directory that the node's file system is below.
	Root string
	// Guard is nil where the guard is not configured.
	Guard *Guard
	// Problem is why the guard's configuration could not be read, nil where it was
	// or where there is none.
	Problem error
	// GuardFile is where the guard's configuration was looked for, and GuardPlace where that
	// is on this machine.
	GuardFile, GuardPlace string
}

// node is everything that is known when the checks are made.
type node struct {
	Options
	host      host
	files     *trust.Checker
	processes []*process
	runtimes  []*runtime
	guardian  *process // the guard, nil where it is not seen running
	ready     readiness
	report    *Report
}

// check looks at one thing.
type check struct {
	name string
	run  func(*node) []Finding
}

// checks are all checks, in the order of what is to be mended first.
func checks() []check {
	return []check{
		{"guard-config", checkGuardConfig},
		{"nri", checkNRI},
		{"nri-version", checkVersion},
		{"restart", checkRestart},
		{"drop-in-version", checkDropIns},
		{"required-plugin", checkRequired},
		{"toleration", checkToleration},
		{"runtime-socket", checkRuntimeSocket},
		{"well-known-socket", checkWellKnown},
		{"plugin-directory", checkPluginDir},
		{"launch", checkLaunch},
		{"socket-permissions", checkSocketModes},
		{"writable-files", checkFiles},
		{"writable-hooks", checkHooks},
		{"policies", checkPolicies},
		{"exemptions", checkExemptions},
		{"grants", checkGrants},
		{"decision-log", checkAudit},
		{"in-force", checkInForce},
		{"guard-ready", checkReady},
		{"unit", checkUnit},
		{"static-pods", checkStaticPods},
		{"running", checkLive},
	}
}

// Inspect looks at a node.
func Inspect(ctx context.Context, o Options) *Report {
	n := &node{
		Options: o,
		host:    host{o.Root},
		files:   &trust.Checker{Root: o.Root},
		report:  &Report{Findings: []Finding{}},
	}
	if o.Problem != nil {
		for line := range strings.Lines(o.Problem.Error()) {
			n.report.problem("the guard's configuration cannot be read: %s", strings.TrimSuffix(line, "\n"))
		}
	}
	n.processes = n.host.processes()
	n.findRuntimes()
	if len(n.runtimes) == 0 {
		n.report.problem("below %s there is no container runtime: no process, executable or configuration of containerd, CRI-O or dockerd", o.Root)
	}
	n.findGuardian()
	n.ready = n.askReadiness(ctx)
	for _, c := range checks() {
		n.report.add(c.name, c.run(n))
	}
	n.report.sort()
	return n.report
}

// each runs a check for every runtime whose NRI is on and in use and whose configuration
// could be read.
func (n *node) each(look func(*runtime) []Finding) []Finding {
	var all []Finding
	for _, r := range n.runtimes {
		on, _ := r.on()
		idle, _ := r.idle()
		if r.err != nil || !on || idle {
			continue
		}
		for _, f := range look(r) {
			if f.About == "" {
				f.About = r.name
			}
			all = append(all, f)
		}
	}
	return all
}

// usesNRI says whether any runtime has NRI on and in use, or may have.
func (n *node) usesNRI() bool { return n.inUse() > 0 || len(n.runtimes) == 0 }

// inUse is how many runtimes have NRI on and in use, or may have.
func (n *node) inUse() int {
	found := 0
	for _, r := range n.runtimes {
		on, _ := r.on()
		idle, _ := r.idle()
		if r.err != nil || on && !idle {
			found++
		}
	}
	return found
}

// guarded says whether it is this runtime that the guard is configured for.
func (n *node) guarded(r *runtime) bool {
	socket, _ := r.socket()
	return n.Guard != nil && n.works() && n.host.same(n.Guard.Runtime, socket)
}

// works says whether the guard is configured to do anything.
func (n *node) works() bool { return n.Guard.Validator != "" || n.Guard.Proxy != nil }

func (n *node) proxies() bool { return n.Guard != nil && n.Guard.Proxy != nil }

func one(f Finding) []Finding { return []Finding{f} }
