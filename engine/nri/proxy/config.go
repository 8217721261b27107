package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/nri/pkg/api"
	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// Config says between what a proxy stands, and who may pass. Engine, Socket.Path
// and Runtime are needed; all else may be left zero.
type Config struct {
	// Engine decides. Its rules may be swapped at any time.
	Engine *engine.Engine
	// Socket is where plugins connect.
	Socket Socket
	// Runtime is the path of the runtime's own NRI socket. It should be in a
	// directory that nobody but root can enter: whoever reaches it passes by.
	Runtime string
	// Launch says which plugins the proxy starts itself.
	Launch Launch
	// Plugins are what is demanded of plugins by their names. Unless there is an entry
	// for [Everybody], a plugin that is not among them may register, subscribe to
	// everything and see everything; what it may change is the engine's decision.
	Plugins []Plugin
	// Reserved are names that no plugin may register under, such as those of the
	// guard's own connections. NRI's "default-validator" is always reserved.
	Reserved []string
	// Lookup finds a container and its pod by the id; see [nri.Border].
	Lookup func(id string) (*api.PodSandbox, *api.Container)
	// Ready says whether Lookup knows what exists by now; nil is yes. Plugins that
	// register before are kept waiting a moment, and are then refused.
	Ready func() bool
	// HostRoot is where the host's file system is found; see [nri.Border].
	HostRoot string
	// Ledger is told what is let through; nil where nobody wants to know.
	Ledger *nri.Ledger
	// Limits bound what plugins can cost.
	Limits Limits
}

// Socket is where plugins connect.
type Socket struct {
	// Path must be absolute. A directory that does not exist is made, for its owner
	// alone.
	Path string
	// Mode are the permission bits; 0 is 0600. Who may write may connect.
	Mode fs.FileMode
	// UID and GID own the socket; 0 leaves them as they are, the guard's own.
	UID, GID int
}

// Launch is where the plugins are that the proxy starts itself, in place of the
// runtime's plugin_path.
type Launch struct {
	// Path is the directory of their executables, each named as in
	// 10-device-injector; "" is none. It is read anew for each run of the runtime, and
	// has to be there. It, and they, may be writable by root and the guard's own user
	// alone.
	Path string
	// Config is the directory of their configuration: 10-device-injector.conf, else
	// device-injector.conf. "" is none.
	Config string
}

// Everybody stands for all names that are not among [Config.Plugins]: a plugin could
// call itself anything to get round what is demanded of its name.
const Everybody = "*"

// Plugin is what is demanded of plugins of a name.
type Plugin struct {
	// Name is the name without the index, or [Everybody].
	Name string
	// Identity must match what is observed; nil is anybody.
	Identity *engine.IdentityMatch
	// Events are the names of those that the plugin may subscribe to, as in
	// CreateContainer; none means all.
	Events []string
	// Redact hides values from the plugin.
	Redact Redact
}

// Redact holds patterns, as of [path.Match] but with stars that cross slashes, for
// the names of what a plugin is not shown the value of. The name stays.
type Redact struct {
	Env         []string
	Annotations []string
}

// Limits bound what plugins can cost. Zero fields are defaults.
type Limits struct {
	// Register is how long a plugin has from connecting to registering; 5 s, which
	// is what NRI allows.
	Register time.Duration
	// Write is how long a plugin may take to read what it is sent; 10 s.
	Write time.Duration
	// Drain is how long calls under way may take when the proxy stops; 5 s.
	Drain time.Duration
	// Connections is how many there may be at a time, 128: of one process a quarter of
	// that, of one user half. Beside these there are two for each name in
	// [Config.Plugins] that has an identity.
	Connections int
	// Registrations is how many of one process are decided about in a second, in the
	// long run; 1. Of one user it is four times that, of all sixteen times; a name that
	// has an identity counts for itself. Beyond that they wait, and are refused.
	Registrations int
	// Requests is how many requests of its own a plugin may have under way; 64.
	Requests int
	// RequestBytes is how large those may be together while they are being judged;
	// 8 MiB. One alone may be as large as ttrpc allows.
	RequestBytes int
	// Memory is what all that plugins ask for takes while it is being judged, and all
	// messages that have not arrived whole, in bytes; 64 MiB. Beyond that the process
	// that has most of it loses a connection.
	Memory int
	// Updates is how many updates of containers a plugin may ask for by itself in a
	// second, in the long run; 200. Beyond that its requests have to wait.
	Updates int
}

func (l Limits) complete() Limits {
	return Limits{
		Register:      cmp.Or(l.Register, api.DefaultPluginRegistrationTimeout),
		Write:         cmp.Or(l.Write, 10*time.Second),
		Drain:         cmp.Or(l.Drain, 5*time.Second),
		Connections:   cmp.Or(l.Connections, 128),
		Registrations: cmp.Or(l.Registrations, 1),
		Requests:      cmp.Or(l.Requests, 64),
		RequestBytes:  cmp.Or(l.RequestBytes, 8<<20),
		Memory:        cmp.Or(l.Memory, 64<<20),
		Updates:       cmp.Or(l.Updates, 200),
	}
}

// complete returns the configuration with defaults in place, or says what is
// wrong with it.
func (c Config) complete() (Config, error) {
	if c.Engine == nil {
		return c, errors.New("proxy: there is no engine to decide: set Config.Engine")
	}
	for _, p := range []struct {
		name, path string
		optional   bool
	}{
		{"socket", c.Socket.Path, false},
		{"runtime's socket", c.Runtime, false},
		{"directory of plugins to launch", c.Launch.Path, true},
		{"directory of plugins' configuration", c.Launch.Config, true},
	} {
		if p.path == "" && !p.optional {
			return c, fmt.Errorf("proxy: the path of the %s is missing", p.name)
		}
		if p.path != "" && !filepath.IsAbs(p.path) {
			return c, fmt.Errorf("proxy: the path of the %s, %q, must be absolute", p.name, p.path)
		}
	}
	c.Socket.Path, c.Runtime = filepath.Clean(c.Socket.Path), filepath.Clean(c.Runtime)
	if c.Socket.At(c.Runtime) {
		return c, fmt.Errorf("proxy: %s is both the proxy's socket and the runtime's; move the runtime's (socket_path) to a directory that only root can enter", c.Runtime)
	}
	if c.Socket.Mode == 0 {
		c.Socket.Mode = 0o600
	}
	if extra := c.Socket.Mode &^ fs.ModePerm; extra != 0 {
		return c, fmt.Errorf("proxy: the mode of a socket is made of permission bits, not of %v", extra)
	}
	c.Limits = c.Limits.complete()
	return c, nil
}

// At says whether a path leads to the socket's place, through links too. Nothing needs
// to be there.
func (s Socket) At(path string) bool {
	mine, errMine := os.Stat(s.Path)
	other, errOther := os.Stat(path)
	if errMine == nil && errOther == nil && os.SameFile(mine, other) {
		return true
	}
	own, errMine := securejoin.SecureJoin("/", s.Path)
	path, errOther = securejoin.SecureJoin("/", path)
	return errMine == nil && errOther == nil && own == path
}
