package validate

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/moby/moby/v2/daemon/pkg/opts"
	"github.com/pelletier/go-toml/v2"
)

// TestDocker reads the samples strictly, the options of NRI by Docker's own type.
func TestDocker(t *testing.T) {
	for file, want := range map[string]opts.NRIOpts{
		"validator.json": {Enable: true, SocketPath: "/var/run/nri/nri.sock"},
		"proxy.json":     {Enable: true, SocketPath: "/run/nri-runtime/nri.sock", PluginPath: "/var/lib/nri-guard/no-plugins"},
	} {
		text, err := os.ReadFile(filepath.Join("../docker", file))
		if err != nil {
			t.Fatal(err)
		}
		var daemon struct {
			NRIOpts opts.NRIOpts `json:"nri-opts"`
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&daemon); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if daemon.NRIOpts != want {
			t.Errorf("%s: %+v, want %+v", file, daemon.NRIOpts, want)
		}
	}
}

// crioNRI is CRI-O's section on NRI as of 1.34. Its own package cannot be had as a module,
// and so the names are kept here.
type crioNRI struct {
	Enabled                   bool   `toml:"enable_nri"`
	SocketPath                string `toml:"nri_listen"`
	PluginPath                string `toml:"nri_plugin_dir"`
	PluginConfigPath          string `toml:"nri_plugin_config_dir"`
	PluginRegistrationTimeout string `toml:"nri_plugin_registration_timeout"`
	PluginRequestTimeout      string `toml:"nri_plugin_request_timeout"`
	DisableConnections        bool   `toml:"nri_disable_connections"`
	DefaultValidator          struct {
		Enable     bool     `toml:"nri_enable_default_validator"`
		Required   []string `toml:"nri_validator_required_plugins"`
		Tolerated  string   `toml:"nri_validator_tolerate_missing_plugins_annotation"`
		Hooks      bool     `toml:"nri_validator_reject_oci_hook_adjustment"`
		Default    bool     `toml:"nri_validator_reject_runtime_default_seccomp_adjustment"`
		Unconfined bool     `toml:"nri_validator_reject_unconfined_seccomp_adjustment"`
		Custom     bool     `toml:"nri_validator_reject_custom_seccomp_adjustment"`
		Namespaces bool     `toml:"nri_validator_reject_namespace_adjustment"`
	} `toml:"default_validator"`
}

// TestCRIO reads the samples strictly.
func TestCRIO(t *testing.T) {
	type said struct {
		socket, plugins string
		validator       bool
		required        []string
		tolerated       string
	}
	const socket, none = "/run/nri-runtime/nri.sock", "/var/lib/nri-guard/no-plugins"
	for file, want := range map[string]said{
		"validator.conf": {"", "", true, []string{"nri-guard"}, ""},
		"proxy.conf":     {socket, none, false, nil, ""},
		"both.conf":      {socket, none, true, []string{"nri-guard"}, ""},
	} {
		text, err := os.ReadFile(filepath.Join("../crio", file))
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			CRIO struct {
				NRI crioNRI `toml:"nri"`
			} `toml:"crio"`
		}
		if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&c); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		nri, v := c.CRIO.NRI, c.CRIO.NRI.DefaultValidator
		got := said{nri.SocketPath, nri.PluginPath, v.Enable, v.Required, v.Tolerated}
		if !nri.Enabled || nri.DisableConnections || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", file, got, want)
		}
	}
}
