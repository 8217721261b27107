package proxy_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

func TestConfig(t *testing.T) {
	dir := shortDir(t)
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	good := proxy.Config{Engine: engine.New(engine.Rules{}), Socket: proxy.Socket{Path: dir + "/a"}, Runtime: dir + "/b"}
	for _, tt := range []struct {
		name   string
		change func(*proxy.Config)
		want   string
	}{
		{name: "good", change: func(*proxy.Config) {}},
		{name: "no engine", change: func(c *proxy.Config) { c.Engine = nil }, want: "no engine to decide"},
		{name: "no socket", change: func(c *proxy.Config) { c.Socket.Path = "" }, want: "the path of the socket is missing"},
		{name: "no runtime", change: func(c *proxy.Config) { c.Runtime = "" }, want: "the path of the runtime's socket is missing"},
		{name: "a relative path", change: func(c *proxy.Config) { c.Runtime = "nri.sock" }, want: `the runtime's socket, "nri.sock", must be absolute`},
		{name: "a relative directory", change: func(c *proxy.Config) { c.Launch.Path = "plugins" }, want: `"plugins", must be absolute`},
		{name: "one socket for both", change: func(c *proxy.Config) { c.Runtime = c.Socket.Path }, want: "is both the proxy's socket and the runtime's"},
		{name: "the same in other words", change: func(c *proxy.Config) { c.Runtime = dir + "/./x/../a" }, want: "is both the proxy's socket and the runtime's"},
		{name: "the same through a link", change: func(c *proxy.Config) { c.Runtime = dir + "/link/a" }, want: "is both the proxy's socket and the runtime's"},
		{name: "the same through a link, where nothing is yet", change: func(c *proxy.Config) {
			c.Socket.Path, c.Runtime = dir+"/new/deep/a", dir+"/link/new/deep/a"
		}, want: "is both the proxy's socket and the runtime's"},
		{name: "a mode that is none", change: func(c *proxy.Config) { c.Socket.Mode = 0o600 | fs.ModeSetuid }, want: "the mode of a socket"},
	} {
		cfg := good
		tt.change(&cfg)
		_, err := proxy.New(cfg)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not say %q", tt.name, err, tt.want)
		}
	}
	if _, err := os.Stat(dir + "/a"); err == nil {
		t.Error("a socket is touched")
	}
}

func TestSocketCannotBeHad(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{name: "somebody listens", prepare: func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
		}, want: fmt.Sprintf("process %d (%s", os.Getpid(), self(t))},
		{name: "no socket", prepare: func(t *testing.T, path string) { write(t, path, "precious", 0o600) }, want: "something else than a socket"},
		{name: "a link", prepare: func(t *testing.T, path string) {
			if err := os.Symlink("/nowhere", path); err != nil {
				t.Fatal(err)
			}
		}, want: "something else than a socket"},
		{name: "a directory that everybody may write to", prepare: func(t *testing.T, path string) {
			if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
		}, want: "everybody may write to the directory"},
		{name: "no directory", prepare: func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Dir(path), "", 0o600)
		}, want: "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(shortDir(t), "nri.sock")
			tt.prepare(t, path)
			p, err := proxy.New(proxy.Config{Engine: engine.New(engine.Rules{}), Socket: proxy.Socket{Path: path}, Runtime: "/nonexistent/nri.sock"})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not say %q", err, tt.want)
			}
			if p.Status().Listening {
				t.Error("it listens")
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	t.Run("a path that is too long", func(t *testing.T) {
		p, err := proxy.New(proxy.Config{Engine: engine.New(engine.Rules{}), Socket: proxy.Socket{Path: "/" + strings.Repeat("x", 110)}, Runtime: "/b"})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("error %v", err)
		}
	})
}

func TestSocketPermissions(t *testing.T) {
	dir := filepath.Join(shortDir(t), "new")
	r := newRig(t, nil, func(c *proxy.Config) { c.Socket = proxy.Socket{Path: dir + "/nri.sock", Mode: 0o660} })
	for path, want := range map[string]fs.FileMode{dir: 0o755 | fs.ModeDir, dir + "/nri.sock": 0o660 | fs.ModeSocket} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
	r.stop()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSocketOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a socket away")
	}
	r := newRig(t, nil, func(c *proxy.Config) { c.Socket.UID, c.Socket.GID = 65534, 65533 })
	if uid, gid := ownerOf(t, r.socket); uid != 65534 || gid != 65533 {
		t.Errorf("it belongs to %d:%d", uid, gid)
	}
}

// A socket that nobody listens on any more is taken over.
func TestStaleSocket(t *testing.T) {
	r := newRig(t, nil)
	r.stop()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	r.run(t)
	connect(t, r.socket, "10", "good", setting("GOOD", "1"))
	r.mustServe(t, "c")
}

func TestSocketIsReplaced(t *testing.T) {
	r := newRig(t, nil)
	if problem := r.proxy.Status().Problem; problem != "" {
		t.Fatalf("problem %q", problem)
	}
	if err := os.Rename(r.socket, r.socket+".old"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed", func() bool {
		return strings.Contains(r.proxy.Status().Problem, "is not the proxy's any more")
	})
	logged := func() int { return len(r.log.lines("level=error", "Plugins may go past the guard")) }
	eventually(t, "it is logged", func() bool { return logged() > 0 })
	r.stop()
	if n := logged(); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	// What is not the proxy's is left alone.
	if _, err := os.Stat(r.socket); err != nil {
		t.Error(err)
	}
	_ = l.Close()
}

// Who opens the socket to others is noticed; it is for whoever did it to set it back.
func TestSocketIsOpened(t *testing.T) {
	r := newRig(t, nil)
	for _, mode := range []fs.FileMode{0o666, 0o600, 0o660} {
		if err := os.Chmod(r.socket, mode); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("it has mode %04o, owner %d:%d, and was mode 0600, ", mode, os.Getuid(), os.Getgid())
		eventually(t, want, func() bool {
			problem := r.proxy.Status().Problem
			return mode == 0o600 && problem == "" || strings.Contains(problem, want)
		})
	}
	if n := len(r.log.lines("level=error", "Others may connect: ", "is not for those any more")); n != 2 {
		t.Errorf("it is logged %d times", n)
	}
}

// When the proxy stops, what is under way comes to an end, and plugins can connect
// to the next one.
func TestDrain(t *testing.T) {
	r := newRig(t, nil)
	inside, goOn := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(inside) })
	p := connect(t, r.socket, "10", "slow", &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		enter()
		<-goOn
		return annotation("by", "slow"), nil, nil
	}})
	quick := connect(t, r.socket, "20", "quick", &testPlugin{stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) { return nil, nil }})
	silent := dialRaw(t, r.socket)
	result := make(chan *api.CreateContainerResponse)
	go func() {
		rpl, _ := r.runtime.create("c")
		result <- rpl
	}()
	<-inside
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	quick.gone(t)
	if _, err := net.Dial("unix", r.socket); err == nil {
		t.Error("it still listens")
	}
	close(goOn)
	if rpl := <-result; rpl.GetAdjust().GetAnnotations()["by"] != "slow" {
		t.Errorf("created %v", rpl)
	}
	<-stopped
	p.gone(t)
	silent.closed()
	r.run(t)
	connect(t, r.socket, "10", "slow", setting("GOOD", "1"))
	r.mustServe(t, "d")
}

// A plugin that does not come to an end is not waited for.
func TestDrainIsBounded(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Limits.Drain = 1 })
	p := dialRaw(t, r.socket)
	p.join("10", "hanging")
	done := make(chan error)
	go func() {
		_, err := r.runtime.create("c")
		done <- err
	}()
	p.called("CreateContainer")
	r.stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Two hundred creations at a time are all judged.
func TestManyAtATime(t *testing.T) {
	r := newRig(t, nil)
	for i := range 3 {
		connect(t, r.socket, fmt.Sprintf("%d0", i), "setter", setting(fmt.Sprintf("V%d", i), "1"))
	}
	const containers = 200
	var wg sync.WaitGroup
	for i := range containers {
		wg.Go(func() {
			rpl, err := r.runtime.create(fmt.Sprintf("c%d", i))
			if err != nil || len(rpl.GetAdjust().GetEnv()) != 3 {
				t.Errorf("created %v, error %v", rpl, err)
			}
		})
	}
	wg.Wait()
	if n := len(r.decisions.of(engine.CreateContainer)); n != 3*containers {
		t.Errorf("%d decisions", n)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	p, err := proxy.New(proxy.Config{Engine: engine.New(engine.Rules{}), Socket: proxy.Socket{Path: filepath.Join(shortDir(t), "nri.sock")}, Runtime: "/nonexistent/nri.sock"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
}
