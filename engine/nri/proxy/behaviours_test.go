package proxy_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
)

// impatience is how long NRI waits where a plugin is to be late.
const impatience = 2 * time.Second

// annotation is an adjustment that adds one.
func annotation(key, value string) *api.ContainerAdjustment {
	return &api.ContainerAdjustment{Annotations: map[string]string{key: value}}
}

// setting is a plugin that sets a variable and an annotation of every container.
func setting(name, value string) *testPlugin {
	return &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		a := annotation("by."+name, fmt.Sprint(len(value)))
		a.AddEnv(name, value)
		return a, nil, nil
	}}
}

// everything is a plugin that adjusts all kinds of things. Two of them do not
// clash where n differs.
func everything(name string, n int) *testPlugin {
	return &testPlugin{create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		a := annotation("by."+name, "1")
		a.AddEnv("BY_"+name, c.GetId())
		a.AddMount(&api.Mount{Destination: "/mnt/" + name, Type: "bind", Source: "/srv/" + name, Options: []string{"bind", "ro"}})
		a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/bin/hook", Args: []string{"same"}}}, Poststop: []*api.Hook{{Path: "/bin/" + name}}})
		a.AddDevice(&api.LinuxDevice{Path: "/dev/" + name, Type: "c", Major: int64(240 + n), Minor: 1})
		a.AddRlimit([]string{"", "RLIMIT_NOFILE", "RLIMIT_CORE"}[n], 100, 50)
		a.AddCDIDevice(&api.CDIDevice{Name: "vendor.example/" + name + "=all"})
		if n == 1 {
			a.SetArgs([]string{"/bin/first"})
			a.SetLinuxCPUShares(100)
			a.SetLinuxMemoryLimit(1 << 30)
			a.SetLinuxOomScoreAdj(new(5))
			a.SetLinuxRDTClosID("first")
			a.SetLinuxCgroupsPath("/first")
		} else {
			a.UpdateArgs([]string{"/bin/second"})
			a.SetLinuxCPUQuota(2000)
			a.SetLinuxPidLimits(77)
			a.AddLinuxUnified("memory.high", "1000")
			a.AddLinuxHugepageLimit("2MB", 4096)
			a.SetLinuxRDTSchemata([]string{"L3:0=f"})
			a.SetLinuxSysctl("net.core.somaxconn", "512")
		}
		u := shares("other", uint64(n))
		if n == 2 {
			u = &api.ContainerUpdate{}
			u.SetContainerId("other")
			u.SetLinuxCPUQuota(4000)
		}
		return a, []*api.ContainerUpdate{u}, nil
	}}
}

// undoing is a plugin that takes back what the plugins "first" and "second" did,
// and some of what the container came with.
func undoing() *testPlugin {
	return &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		a := &api.ContainerAdjustment{}
		a.RemoveEnv("BY_first")
		a.RemoveEnv("BY_second")
		a.AddEnv("BY_second", "third")
		a.RemoveMount("/mnt/first")
		a.RemoveMount("/data")
		a.RemoveMount("/mnt/second")
		a.AddMount(&api.Mount{Destination: "/mnt/second", Type: "tmpfs", Source: "tmpfs"})
		a.RemoveDevice("/dev/first")
		a.RemoveAnnotation("kept")
		return a, nil, nil
	}}
}

// sharing is a plugin that updates a container whenever it is asked something.
func sharing(id string, n uint64) *testPlugin {
	update := func() []*api.ContainerUpdate { n++; return []*api.ContainerUpdate{shares(id, n)} }
	return &testPlugin{
		synchronize: func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) { return update(), nil },
		create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			return nil, update(), nil
		},
		update: func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
			return update(), nil
		},
		stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) { return update(), nil },
	}
}

func (r *testRuntime) updateContainer(id string, quota int64) (*api.UpdateContainerResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	defer r.settled()()
	return r.nri.UpdateContainer(ctx, &api.UpdateContainerRequest{
		Pod: testPod(id), Container: testContainer(id),
		LinuxResources: &api.LinuxResources{Cpu: &api.LinuxCPU{Quota: api.Int64(quota)}},
	})
}

func (r *testRuntime) stopContainer(id string) (*api.StopContainerResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	defer r.settled()()
	return r.nri.StopContainer(ctx, &api.StopContainerRequest{Pod: testPod(id), Container: testContainer(id)})
}

// keepConnected has the runtime fail the request that a plugin is late with, and
// keep the plugin.
var keepConnected = stub.WithFailurePolicy(&api.FailurePolicy{FailRequest: true, KeepConnected: true})

// connectOld registers a plugin of an NRI that knew fewer methods.
func connectOld(t testing.TB, socket string, event func(*api.StateChangeEvent)) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := multiplex.Multiplex(conn)
	t.Cleanup(func() { _ = mux.Close() })
	l, err := mux.Listen(multiplex.PluginServiceConn)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	synchronized := make(chan struct{})
	server.RegisterService("nri.pkg.api.v1alpha1.Plugin", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Configure": answering(func(*api.ConfigureRequest) proto.Message {
			var mask api.EventMask
			mask.Set(otherEvents...)
			mask.Clear(api.Event_UPDATE_POD_SANDBOX)
			mask.Set(api.Event_CREATE_CONTAINER)
			return &api.ConfigureResponse{Events: int32(mask)}
		}),
		"Synchronize": answering(func(*api.SynchronizeRequest) proto.Message {
			defer close(synchronized)
			return &api.SynchronizeResponse{}
		}),
		"CreateContainer": answering(func(*api.CreateContainerRequest) proto.Message {
			return &api.CreateContainerResponse{Adjust: annotation("by", "old")}
		}),
		"StateChange": answering(func(e *api.StateChangeEvent) proto.Message {
			event(e)
			return &api.Empty{}
		}),
	}})
	go server.Serve(context.Background(), l) //nolint:errcheck // it ends with the connection
	t.Cleanup(func() { _ = server.Close() })
	client, err := mux.Open(multiplex.RuntimeServiceConn)
	if err != nil {
		t.Fatal(err)
	}
	runtime := api.NewRuntimeClient(ttrpc.NewClient(client))
	if _, err := runtime.RegisterPlugin(context.Background(), &api.RegisterPluginRequest{PluginName: "old", PluginIdx: "10"}); err != nil {
		t.Fatal(err)
	}
	<-synchronized
}

func answering[T any, M interface {
	*T
	proto.Message
}](f func(M) proto.Message) ttrpc.Method {
	return func(_ context.Context, unmarshal func(any) error) (any, error) {
		req := M(new(T))
		if err := unmarshal(req); err != nil {
			return nil, err
		}
		return f(req), nil
	}
}
