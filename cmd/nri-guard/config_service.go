package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
)

// The sections of the configuration file that only the service looks at. Their
// defaults are those of newConfig.

type runtimeConfig struct {
	Socket string `yaml:"socket" doc:"NRI socket of the runtime; /var/run/nri/nri.sock unless given; with the proxy, which takes that one, it must be given" none:"the usual one, /var/run/nri/nri.sock"`
	// Builtin are plugins that the runtime consults and that are part of it.
	Builtin  []string `yaml:"builtin" doc:"plugins that are part of the runtime and change nothing, as INDEX-NAME; with validator and proxy they are not taken for plugins that went past the proxy; NRI's default validator need not be named"`
	HostRoot string   `yaml:"hostRoot" doc:"where the host's file system is, for symbolic links in the sources of mounts; / unless given" none:"/"`
}

type validatorConfig struct {
	Enabled bool   `yaml:"enabled" doc:"whether to register with the runtime as a validator"`
	Name    string `yaml:"name" doc:"name to register under, which required_plugins of the runtime can demand; nri-guard unless given"`
	Index   string `yaml:"index" doc:"index to register with, two digits; 99 unless given"`
}

type proxyConfig struct {
	Enabled bool         `yaml:"enabled" doc:"whether plugins connect to the guard, which relays them to the runtime"`
	Socket  string       `yaml:"socket" doc:"socket that plugins connect to; /var/run/nri/nri.sock unless given"`
	Mode    fileMode     `yaml:"mode" doc:"permissions of the socket, in octal; 0600 unless given"`
	UID     *int64       `yaml:"uid" doc:"owner of the socket; the guard's own user unless given"`
	GID     *int64       `yaml:"gid" doc:"group of the socket; the guard's own group unless given"`
	Launch  launchConfig `yaml:"launch" doc:"plugins that the guard starts itself, as the runtime would"`
}

type launchConfig struct {
	Path   string `yaml:"path" doc:"directory of plugins, each named as in 10-device-injector; none is started unless given" none:"no plugins to start"`
	Config string `yaml:"config" doc:"directory of their configuration, 10-device-injector.conf or device-injector.conf; none unless given" none:"no configuration"`
}

type auditConfig struct {
	audit.Config `yaml:",inline"`
	BestEffort   bool `yaml:"bestEffort" doc:"whether a decision stands that could not be recorded; otherwise it is a denial"`
}

type adminConfig struct {
	Address string `yaml:"address" doc:"IP address and port of /healthz, /readyz and /metrics, or off; 127.0.0.1:9321 unless given"`
	Public  bool   `yaml:"public" doc:"whether the address may be another than that of the loopback interface"`
}

// adminOff is the admin address for none.
const adminOff = "off"

// newConfig returns the configuration of an empty file.
func newConfig() *config {
	return &config{
		Validator: validatorConfig{Name: validator.DefaultName, Index: validator.DefaultIndex},
		Proxy:     proxyConfig{Socket: api.DefaultSocketPath, Mode: 0o600},
		Admin:     adminConfig{Address: "127.0.0.1:9321"},
	}
}

// fileMode is the permission bits of a file, written in octal.
type fileMode uint32

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *fileMode) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || v > 0o777 {
		return fmt.Errorf("%q is no mode such as 0660", text)
	}
	*m = fileMode(v)
	return nil
}

// runtimeSocket is the runtime's NRI socket.
func (c *config) runtimeSocket() string { return cmp.Or(c.Runtime.Socket, api.DefaultSocketPath) }

// hostRoot is where the host's file system is.
func (c *config) hostRoot() string { return cmp.Or(c.Runtime.HostRoot, "/") }

// builtin are the plugins that are part of the runtime. The names are checked.
func (c *config) builtin() []engine.Plugin {
	var list []engine.Plugin
	for _, b := range c.Runtime.Builtin {
		index, name, _ := strings.Cut(b, "-")
		list = append(list, engine.Plugin{Index: index, Name: name})
	}
	return list
}

// guards says whether the service has something to do.
func (c *config) guards() bool { return c.Validator.Enabled || c.Proxy.Enabled }

// socket is the proxy's socket as the proxy wants to know it.
func (c *proxyConfig) socket() proxy.Socket {
	s := proxy.Socket{Path: c.Socket, Mode: fs.FileMode(c.Mode)}
	if c.UID != nil {
		s.UID = int(*c.UID)
	}
	if c.GID != nil {
		s.GID = int(*c.GID)
	}
	return s
}
