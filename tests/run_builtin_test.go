package tests

import (
	"strings"
	"testing"
)

// TestBuiltin: what is said to be part of the runtime is not taken for a plugin that
// went past the proxy, and changes nothing: everybody can use its name.
func TestBuiltin(t *testing.T) {
	n := newNode(t)
	n.write("config.yaml", "version: 1\nruntime: {socket: DIR/runtime/nri.sock, hostRoot: DIR, builtin: [05-part, 06-changer]}\n"+
		"admin: {address: '127.0.0.1:0'}\npolicy: {timeout: 20s}\n"+asBoth)
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	n.plug(n.plugins, "10", "through", greeting)
	g.with(1)
	n.plug(n.runtime, "05", "part", "{}")
	g.eventually("the runtime has all plugins", func() bool { return runtime.plugins() == 4 })
	if adjust, err := runtime.create("1"); err != nil || len(adjust.GetEnv()) != 1 {
		t.Errorf("adjusted by %v, error %v", adjust, err)
	}
	n.plug(n.runtime, "06", "changer", `{"env": [{"key": "MORE", "value": "1"}]}`)
	g.eventually("the runtime has all plugins", func() bool { return runtime.plugins() == 5 })
	_, err := runtime.create("2")
	if want := "explains: add env MORE"; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "did not come through") {
		t.Errorf("got %v, want %s and nothing of the plugin", err, want)
	}
}
