package nri_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

// The test binary is also the plugins that run as processes of their own: NRI
// launches it under a plugin's name, and tests start it with a socket to dial.
const dialVar = "NRI_GUARD_TEST_DIAL"

func TestMain(m *testing.M) {
	if name := os.Getenv(api.PluginNameEnvVar); name != "" {
		if err := runProcess(name, os.Getenv(dialVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	book := &logBook{also: io.Discard}
	if testing.Verbose() {
		book.also = os.Stderr
	}
	log.L.Logger.SetOutput(book)
	adaptation.SetPluginRequestTimeout(patience)
	os.Exit(m.Run())
}

// runProcess is the main function of plugin processes.
func runProcess(name, socket string) error {
	behaviour, ok := processes[name]
	if !ok {
		return fmt.Errorf("there is no plugin %q", name)
	}
	var options []stub.Option
	if socket != "" {
		options = append(options, stub.WithSocketPath(socket))
	}
	s, err := stub.New(behaviour, options...)
	if err != nil {
		return err
	}
	return s.Run(context.Background())
}

// processes are the plugins that can be run, by name.
var processes = map[string]*testPlugin{
	"annotator": {create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return annotation("by", "annotator"), nil, nil
	}},
	"configured": configuredPlugin(),
	// "pid" writes its process id to the file that its configuration names.
	"pid": {configure: func(config, _, _ string) {
		_ = os.WriteFile(config, []byte(strconv.Itoa(os.Getpid())), 0o600)
	}},
	"hooker": {create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return &api.ContainerAdjustment{Hooks: &api.Hooks{CreateRuntime: []*api.Hook{{Path: "/bin/evil"}}}}, nil, nil
	}},
	"leaver": {synchronize: func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
		time.AfterFunc(50*time.Millisecond, func() { os.Exit(0) })
		return nil, nil
	}},
	"sleeper": {create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		time.Sleep(time.Minute)
		return annotation("by", "sleeper"), nil, nil
	}},
	"crasher": {create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		os.Exit(3)
		return nil, nil, nil
	}},
}

// configuredPlugin shows its configuration.
func configuredPlugin() *testPlugin {
	var config string
	return &testPlugin{
		configure: func(c, _, _ string) { config = c },
		create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			return annotation("config", config), nil, nil
		},
	}
}

// annotation is an adjustment that adds one.
func annotation(key, value string) *api.ContainerAdjustment {
	return &api.ContainerAdjustment{Annotations: map[string]string{key: value}}
}
