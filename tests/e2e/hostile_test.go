package e2e

import (
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program that registers under a trusted name without being the trusted program is
// refused, on both sides with the reason, and its grants go with the identity.
func TestImpostor(t *testing.T) {
	for _, m := range []mode{proxy, both} {
		t.Run(string(m), func(t *testing.T) { impostor(t, m) })
	}
}

func impostor(t *testing.T, m mode) {
	prepareHost(t)
	trusted := work("trusted")
	copyFile(t, work(binDir, "obedient"), trusted)
	n := start(t, setup{mode: m, guard: `
plugins:
  - name: injector
    identity: {exe: ` + trusted + `, uid: 0}
    grants:
      - {field: device, keys: [/dev/injected], hostPaths: [/dev/null]}
`})
	impostor := n.spawn("obedient", "-idx", "20", "-name", "injector", "-socket", pluginSocket)
	<-impostor.Ended()
	told := impostor.Tail(10)
	t.Logf("the impostor is told: %s", told)
	const reason = "denied RegisterPlugin"
	if strings.Contains(told, "registered") || !strings.Contains(told, reason) || !strings.Contains(told, trusted) {
		t.Error("the impostor is not told that it is not the trusted program")
	}
	n.logs(n.guard.Process, "registration refused: nri-guard "+reason)
	refused := false
	for _, d := range n.guard.decisions() {
		refused = refused || d.Operation == "RegisterPlugin" && !d.Result.Allowed
	}
	if !refused {
		t.Error("the refusal is not in the decision log")
	}

	n.plugin(trusted, "-idx", "20", "-name", "injector", "-socket", pluginSocket)
	n.grantedDevice()
}

// grantedDevice checks that a device that is granted to a plugin arrives.
func (n *node) grantedDevice() {
	n.Helper()
	for _, a := range adjustments() {
		if a.name == "device that is granted" {
			n.adjust(&a)
			return
		}
	}
	n.Fatal("no such adjustment")
}

// A plugin that reaches the runtime past the proxy is seen by the validator, whatever
// it calls itself: a name of its own, that of a plugin which came through the proxy, or
// those of the guard.
func TestRoundTheProxy(t *testing.T) {
	for _, c := range []struct{ index, name, reason string }{
		{"50", "smuggler", "plugin 50-smuggler did not come through the proxy"},
		{"10", "nvidia", "nothing that the proxy let through explains: add env HARMLESS"},
		{"99", "nri-guard", "nothing that the proxy let through explains: add env HARMLESS"},
		{"00", "nri-guard-observer", "nothing that the proxy let through explains: add env HARMLESS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, setup{mode: both})
			n.plugin("nvidia", "-socket", pluginSocket)
			n.obedient("20", "obedient")
			// Root can: the runtime's socket is in a directory that is for root alone.
			past := n.plugin("obedient", "-idx", c.index, "-name", c.name, "-socket", runtimeSocket)
			order := `{"adjust": {"env": [{"key": "HARMLESS", "value": "1"}]}}`
			pod := n.pod("default", orders(c.name, "app", order))
			_, err := pod.Create(n.ctx, "app")
			n.rejected(pod, err, []string{c.reason})
			// Once it is gone, everything is as before.
			past.Stop()
			n.create(n.pod("default", orders("obedient", "app", order)), "app")
		})
	}
}

// Vandals on the socket that plugins connect to harm nobody else.
func TestVandals(t *testing.T) {
	prepareHost(t)
	n := start(t, setup{mode: proxy, guard: guardConfig})
	var silent []net.Conn
	for range 20 { // they connect and say nothing
		c, err := net.Dial("unix", pluginSocket)
		must(t, err)
		silent = append(silent, c)
	}
	n.startPlugins() // which is not delayed by the silent
	noise := make([]byte, 1<<16)
	_, _ = rand.Read(noise)
	for _, frames := range [][]byte{
		noise,
		{0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff}, // two gigabytes to come
		{0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0}, // a message of no length, cut off
		{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0},                 // a channel that there is not
	} {
		c, err := net.Dial("unix", pluginSocket)
		must(t, err)
		// The guard may have hung up already.
		if _, err := c.Write(frames); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Logf("after %d bytes: %v", len(frames), err)
		}
		must(t, c.Close())
	}
	for _, a := range adjustments()[:4] {
		t.Run(a.name, func(t *testing.T) { n.in(t).adjust(&a) })
	}
	for _, c := range silent {
		must(t, c.Close())
	}
	must(t, n.guard.ready(n.ctx))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, data, 0o755))
}
