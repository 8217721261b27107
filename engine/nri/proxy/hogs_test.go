package proxy_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// userVar has a hog become another user, manyVar says on how many connections it is.
const (
	userVar = "PROXY_TEST_USER"
	manyVar = "PROXY_TEST_MANY"
)

// hogsUnleashed are the processes, each on so many connections, unless a test says otherwise.
const (
	hogsUnleashed = 4
	hogsEach      = 40
)

// hogs are processes that do the same on as many connections as they get.
var hogs = map[string]func(conn net.Conn, name string) error{
	// "member" registers and stays.
	"member": func(conn net.Conn, name string) error {
		if err := hogRegister(conn, name); err != nil {
			return err
		}
		return hogStay(conn)
	},
	// "refused" is refused and does not leave.
	"refused": func(conn net.Conn, _ string) error {
		if err := hogRegister(conn, ""); err != nil {
			return err
		}
		return hogStay(conn)
	},
	// "half" registers and sends half messages, as many as there can be.
	"half": func(conn net.Conn, name string) error {
		return errors.Join(hogRegister(conn, name), hogAnswers(conn, 1),
			hogMessage(conn, multiplex.PluginServiceConn), hogMessage(conn, multiplex.RuntimeServiceConn), hogStay(conn))
	},
	// "asking" registers and asks for one update after the other.
	"asking": func(conn net.Conn, name string) error {
		if err := errors.Join(hogRegister(conn, name), hogAnswers(conn, 3)); err != nil {
			return err
		}
		update, err := proto.Marshal(&api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("c", 1)}})
		for stream := uint32(3); err == nil; stream += 2 {
			err = errors.Join(hogRequest(conn, stream, "UpdateContainers", update), hogAnswers(conn, 1))
		}
		return err
	},
	// "silent" says nothing.
	"silent": func(conn net.Conn, _ string) error { return hogStay(conn) },
	// "churn" is refused and comes again at once.
	"churn": func(conn net.Conn, _ string) error {
		if err := hogRegister(conn, ""); err != nil {
			return err
		}
		_, err := wire.NewReader(conn).Read()
		return err
	},
}

func hogRegister(conn net.Conn, name string) error {
	plugin, err := proto.Marshal(&api.RegisterPluginRequest{PluginName: name, PluginIdx: "10"})
	if err != nil {
		return err
	}
	return hogRequest(conn, 1, "RegisterPlugin", plugin)
}

func hogRequest(conn net.Conn, stream uint32, method string, message []byte) error {
	payload, err := proto.Marshal(&ttrpc.Request{Service: runtimeService, Method: method, Payload: message})
	if err != nil {
		return err
	}
	return wire.NewWriter(conn, 0).Write(wire.Message{Conn: multiplex.RuntimeServiceConn, Stream: stream, Type: wire.Request, Payload: payload})
}

// hogStay answers what it is asked until the connection ends.
func hogStay(conn net.Conn) error { return hogAnswers(conn, math.MaxInt) }

// hogAnswers reads that many messages, and answers what it is asked.
func hogAnswers(conn net.Conn, n int) error {
	r, w := wire.NewReader(conn), wire.NewWriter(conn, 0)
	for range n {
		m, err := r.Read()
		if err != nil {
			return err
		}
		if m.Type != wire.Request {
			continue
		}
		rsp, err := hogAnswer(m)
		if err != nil {
			return err
		}
		if err := w.Write(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: rsp}); err != nil {
			return err
		}
	}
	return nil
}

// hogMessage writes a message of 4 MiB but for its last byte.
func hogMessage(conn net.Conn, on multiplex.ConnID) error {
	const size = wire.MaxPayload
	b := binary.BigEndian.AppendUint32(nil, uint32(on))
	b = binary.BigEndian.AppendUint32(b, 10+size-1)
	b = binary.BigEndian.AppendUint32(b, size)
	b = binary.BigEndian.AppendUint32(b, 3)
	b = append(b, byte(wire.Request), 0)
	_, err := conn.Write(append(b, make([]byte, size-1)...))
	return err
}

func hogAnswer(m wire.Message) ([]byte, error) {
	req := &ttrpc.Request{}
	if err := proto.Unmarshal(m.Payload, req); err != nil {
		return nil, err
	}
	var body []byte
	if req.GetMethod() == "Configure" {
		var mask api.EventMask
		mask.Set(api.Event_REMOVE_POD_SANDBOX)
		var err error
		if body, err = proto.Marshal(&api.ConfigureResponse{Events: int32(mask)}); err != nil {
			return nil, err
		}
	}
	return proto.Marshal(&ttrpc.Response{Payload: body})
}

// runHog is the main function of hogs.
func runHog() error {
	if uid, err := strconv.Atoi(os.Getenv(userVar)); err == nil {
		if err := syscall.Setuid(uid); err != nil {
			return err
		}
	}
	hog := hogs[os.Getenv(otherVar)]
	many, err := strconv.Atoi(os.Getenv(manyVar))
	if err != nil {
		return err
	}
	for i := range many {
		go func() {
			for n := 0; ; n++ {
				conn, err := net.Dial("unix", os.Getenv(socketVar))
				if err != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				_ = hog(conn, fmt.Sprintf("hog-%d-%d-%d", os.Getpid(), i, n))
				_ = conn.Close()
			}
		}()
	}
	select {}
}

// unleash starts hogs, as another user if uid is not 0.
func unleash(t testing.TB, r *rig, what string, uid, each int) {
	t.Helper()
	for range hogsUnleashed {
		cmd := exec.Command(self(t))
		cmd.Env = append(os.Environ(), processVar+"=hog", socketVar+"="+r.socket, otherVar+"="+what, fmt.Sprint(manyVar, "=", each))
		if uid != 0 {
			cmd.Env = append(cmd.Env, fmt.Sprint(userVar, "=", uid))
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}

// hogged is a rig with hogs that have had time to take what they can.
func hogged(t *testing.T, what string, uid int, plugins ...proxy.Plugin) *rig {
	t.Helper()
	var behind *testRuntime
	if raced {
		// NRI's adaptation reads the name of a plugin that leaves while it writes that,
		// which is NRI's to mend, and which those who are killed at the end provoke.
		behind = &testRuntime{socket: agreeing(t)}
	} else {
		behind = newTestRuntime(t)
	}
	r := rigFor(t, behind, nil, func(c *proxy.Config) {
		c.Limits, c.Socket.Mode, c.Plugins = proxy.Limits{}, 0o666, plugins
	})
	if err := os.Chmod(filepath.Dir(r.socket), 0o755); err != nil {
		t.Fatal(err)
	}
	unleash(t, r, what, uid, hogsEach)
	time.Sleep(1500 * time.Millisecond)
	return r
}

// mustRegister demands that a plugin can register, again and again.
func (r *rig) mustRegister(t *testing.T, name string) {
	t.Helper()
	for i := range 10 {
		p := dialRaw(t, r.socket)
		m := p.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: name, PluginIdx: "20"})
		p.send(m)
		for got := (wire.Message{}); got.Conn != m.Conn; {
			var err error
			if got, err = p.r.Read(); err != nil {
				t.Fatalf("attempt %d: %v; logged of this process: %q", i, err, r.log.lines(fmt.Sprint("process=", os.Getpid())))
			}
			if got.Conn == m.Conn && errorOf(t, got) != "" {
				t.Errorf("attempt %d: %s", i, errorOf(t, got))
			} else if got.Conn != m.Conn {
				p.send(answer(t, got, &api.ConfigureResponse{Events: 1}))
			}
		}
		_ = p.conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
}

// Hogs keep no plugin out whose name has an identity, nor those of other users.
func TestHogs(t *testing.T) {
	own := int64(os.Getuid())
	for _, what := range []string{"member", "refused", "silent", "churn"} {
		t.Run(what+", of the same user", func(t *testing.T) {
			r := hogged(t, what, 0, proxy.Plugin{Name: "good", Identity: &engine.IdentityMatch{UID: &own, Exe: self(t)}})
			r.mustRegister(t, "good")
		})
		t.Run(what+", of another user", func(t *testing.T) {
			if own != 0 {
				t.Skip("only root can become another user")
			}
			r := hogged(t, what, 65534)
			r.mustRegister(t, "good")
		})
	}
}

// What hogs send does not fill the memory, nor keep others from sending much.
func TestHogsOfMemory(t *testing.T) {
	own := int64(os.Getuid())
	r := rigFor(t, &testRuntime{socket: agreeing(t)}, nil, func(c *proxy.Config) {
		c.Plugins = []proxy.Plugin{{Name: "good", Identity: &engine.IdentityMatch{UID: &own}}}
		c.Limits.Registrations = 0
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
	})
	before := inUse()
	unleash(t, r, "half", 0, hogsEach)
	eventually(t, "there is no memory for more", func() bool { return len(r.log.lines("there is no memory for more")) > 5 })
	if n := inUse() - before; n > 128<<20 {
		t.Errorf("%d MiB are in use", n>>20)
	}
	for range 5 {
		p := dialRaw(t, r.socket)
		if got := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "good", PluginIdx: "10"}); got != "" {
			t.Fatal(got)
		}
		m := p.request("UpdateContainers", &api.Empty{})
		m.Payload = encode(t, &ttrpc.Request{
			Service: runtimeService, Method: "UpdateContainers",
			Metadata: []*ttrpc.KeyValue{{Key: "much", Value: strings.Repeat("x", 3<<20)}},
			Payload:  encode(t, &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("c", 1)}}),
		})
		p.send(m)
		if got := errorOf(t, p.answered(m)); got != "" {
			t.Errorf("answer %q", got)
		}
		_ = p.conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
}

// agreeing returns the socket of a runtime that agrees to whatever it is asked, and asks
// nothing.
func agreeing(t testing.TB) string {
	t.Helper()
	socket := filepath.Join(shortDir(t), "runtime.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = hogStay(conn)
				_ = conn.Close()
			}()
		}
	}()
	return socket
}

// inUse is the memory that is in use.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Updates that hogs ask for delay those of others by a turn of each of them.
func TestHogsThatAsk(t *testing.T) {
	r := newRig(t, func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.UpdateContainers && strings.HasPrefix(r.Plugin.Name, "hog-") {
			time.Sleep(50 * time.Millisecond)
		}
		return nil
	})
	r.runtime.add("c")
	p := dialRaw(t, r.socket)
	p.subscribe("10", "good", api.Event_STOP_CONTAINER)
	// So many that all of them can be there: when they are killed none is registering, in the
	// middle of which NRI's adaptation races with itself.
	const each = 15
	unleash(t, r, "asking", 0, each)
	eventually(t, "there are many", func() bool { return len(r.proxy.Status().Plugins) == 1+hogsUnleashed*each })
	start := time.Now()
	for range 10 {
		if got := p.ask("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("c", 1)}}); got != "" {
			t.Errorf("answer %q", got)
		}
	}
	// In the order in which they ask it is more than 25.
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// Registrations that are refused fill the decision log slowly.
func TestRegistrationsArePaced(t *testing.T) {
	start := time.Now()
	r := hogged(t, "churn", 0)
	made := len(r.decisions.of(engine.RegisterPlugin))
	// 64 at once, and four a second.
	if most := 64 + 4*int(time.Since(start).Seconds()+1); made < 32 || made > most {
		t.Errorf("%d decisions in %s, want at most %d", made, time.Since(start), most)
	}
}
