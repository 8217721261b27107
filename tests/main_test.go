package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"google.golang.org/protobuf/encoding/protojson"
)

// asPlugin makes this program an NRI plugin instead of a test: its value is the
// plugin's name, index, socket and answer.
const asPlugin = "NRI_GUARD_TEST_PLUGIN"

func TestMain(m *testing.M) {
	spec := os.Getenv(asPlugin)
	if os.Getenv(api.PluginNameEnvVar) != "" {
		spec = "{}" // started as a pre-installed plugin; the rest is said by whoever did
	}
	if spec != "" {
		if err := runPlugin(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The machine may be busy; what is tested is not how fast plugins are.
	adaptation.SetPluginRequestTimeout(requestTimeout)
	adaptation.SetPluginRegistrationTimeout(patience)
	log.L.Logger.SetOutput(io.Discard) // NRI's own, which tells every step
	os.Exit(run(m))
}

// requestTimeout is how long NRI waits for a plugin in these tests.
const requestTimeout = 30 * time.Second

// programs is the directory of the programs that tests build.
const programs = "NRI_GUARD_TEST_PROGRAMS"

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nri-guard")
	if err == nil {
		err = os.Setenv(programs, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary directory
	return m.Run()
}

// plugin answers every creation with the same adjustment. One that is named and has
// none is a validator that does nothing.
type plugin struct {
	Name, Index, Socket string
	Adjust              json.RawMessage // ContainerAdjustment as protobuf JSON
}

func runPlugin(spec string) error {
	var p plugin
	if err := json.Unmarshal([]byte(spec), &p); err != nil {
		return err
	}
	var options []stub.Option
	if p.Name != "" {
		options = []stub.Option{stub.WithPluginName(p.Name), stub.WithPluginIdx(p.Index), stub.WithSocketPath(p.Socket)}
	}
	var handler any = &p
	if string(p.Adjust) == "null" {
		handler = nothing{}
	}
	s, err := stub.New(handler, options...)
	if err != nil {
		return err
	}
	return s.Run(context.Background())
}

// nothing is a validator that accepts everything.
type nothing struct{}

// ValidateContainerAdjustment is what NRI's stub looks for.
func (nothing) ValidateContainerAdjustment(context.Context, *api.ValidateContainerAdjustmentRequest) error {
	return nil
}

// Configure is what NRI's stub looks for. The configuration is what to answer with.
func (p *plugin) Configure(_ context.Context, config, _, _ string) (api.EventMask, error) {
	if config != "" {
		p.Adjust = json.RawMessage(config)
	}
	return 0, nil
}

// CreateContainer is what NRI's stub looks for.
func (p *plugin) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	adjust := &api.ContainerAdjustment{}
	return adjust, nil, protojson.Unmarshal(p.Adjust, adjust)
}
