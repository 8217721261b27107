package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestPlugins: the guard starts plugins itself, and a reload that trusts somebody else
// disconnects them.
func TestPlugins(t *testing.T) {
	n := newNode(t)
	n.write("conf.d/launched.conf", greeting)
	copyProgram(t, os.Args[0], filepath.Join(n.dir, "plugins/10-launched"))
	const launch = "proxy: {enabled: true, socket: DIR/guard/nri.sock, launch: {path: DIR/plugins, config: DIR/conf.d}}\n"
	trusting := func(uid int) string {
		return fmt.Sprintf("%splugins: [{name: launched, identity: {uid: %d}}, {name: other, events: [StopContainer]}]\n", launch, uid)
	}
	n.configure(trusting(os.Getuid()))
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 2 })
	adjust, err := runtime.create("c1")
	if err != nil || len(adjust.GetEnv()) != 1 {
		t.Errorf("adjusted by %v, %v", adjust, err)
	}
	if got := g.ready().Plugins; len(got) != 1 || got[0] != "10-launched" {
		t.Errorf("plugins are %q", got)
	}
	n.configure(trusting(12345))
	g.eventually("the plugin is disconnected", func() bool { return len(g.ready().Plugins) == 0 })
	adjust, err = runtime.create("c2")
	if err != nil || len(adjust.GetEnv()) != 0 {
		t.Errorf("adjusted by %v, %v", adjust, err)
	}

	n.plug(n.plugins, "20", "other", greeting) // which subscribes to what it may not
	g.eventually("it is sent away", func() bool { return len(g.logged("Plugin disconnected by the guard")) == 2 })
	if got := g.logged("Denied: none of the events that plugin 20-other wants (CreateContainer) is one that it may subscribe to (StopContainer)"); len(got) != 1 {
		t.Errorf("the log does not say why: %q", got)
	}
	if got := g.ready().Plugins; len(got) != 0 {
		t.Errorf("plugins are %q", got)
	}
}

// TestReserved: nobody is called what the guard's own connections are called, or would
// be by default: required_plugins goes by the name.
func TestReserved(t *testing.T) {
	n := newNode(t)
	n.configure("validator: {enabled: true, name: gatekeeper}\n" + asProxy)
	n.serve()
	g := n.start()
	g.becomes("ready")
	for _, name := range []string{"gatekeeper", "nri-guard", "nri-guard-observer", "default-validator"} {
		n.plug(n.plugins, "10", name, "{}")
		g.eventually(name+" is refused", func() bool {
			return len(g.logged(fmt.Sprintf("Denied: the name %q is reserved", name))) == 1
		})
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
