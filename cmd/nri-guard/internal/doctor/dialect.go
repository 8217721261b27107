package doctor

import (
	"fmt"
	"path"
	"strings"
)

// option is something that every runtime lets one configure of NRI, each under a name of
// its own.
type option int

// The options that matter here.
const (
	enable       option = iota // NRI as a whole
	socketPath                 // where NRI listens
	pluginDir                  // plugins that the runtime starts
	dropInDir                  // their configuration
	noConnection               // that NRI does not listen
	validator                  // NRI's default validator
	required                   // plugins without which the default validator rejects
	toleration                 // annotation with which a pod does without them
)

// dialect is how a runtime says these things. Tables of this kind are all that is known of
// a runtime beside how it finds its files.
type dialect struct {
	name     string
	programs []string // names of its executable
	unit     string   // its systemd service
	config   string   // where its configuration is by default
	dropIn   string   // where a snippet goes; config itself where there are no drop-ins

	table []string          // section with the options
	keys  map[option]string // relative to table, / between levels; a leading ! turns a bool round
	flags map[option]string // command line flags that override files

	// What holds where nothing is said. An empty path means the default too, except
	// for Docker's socket.
	defaults map[option]string
	enabled  bool // NRI is on unless told otherwise
}

// Defaults of NRI's adaptation.
const (
	wellKnownSocket = "/var/run/nri/nri.sock"
	nriPluginDir    = "/opt/nri/plugins"
	nriDropInDir    = "/etc/nri/conf.d"
)

// nriSection is what NRI is called among containerd's plugins.
const nriSection = "io.containerd.nri.v1.nri"

func containerd() *dialect {
	return &dialect{
		name: "containerd", programs: []string{"containerd"}, unit: "containerd",
		config: "/etc/containerd/config.toml", dropIn: "/etc/containerd/config.toml",
		table: []string{"plugins", nriSection},
		keys: map[option]string{
			enable: "!disable", socketPath: "socket_path", pluginDir: "plugin_path", dropInDir: "plugin_config_path",
			noConnection: "disable_connections", validator: "default_validator/enable",
			required: "default_validator/required_plugins", toleration: "default_validator/tolerate_missing_plugins_annotation",
		},
		defaults: map[option]string{socketPath: wellKnownSocket, pluginDir: nriPluginDir, dropInDir: nriDropInDir},
		enabled:  true,
	}
}

func crio() *dialect {
	return &dialect{
		name: "CRI-O", programs: []string{"crio"}, unit: "crio",
		config: "/etc/crio/crio.conf", dropIn: path.Join(crioDir, "99-nri-guard.conf"),
		table: []string{"crio", "nri"},
		keys: map[option]string{
			enable: "enable_nri", socketPath: "nri_listen", pluginDir: "nri_plugin_dir", dropInDir: "nri_plugin_config_dir",
			noConnection: "nri_disable_connections", validator: "default_validator/nri_enable_default_validator",
			required:   "default_validator/nri_validator_required_plugins",
			toleration: "default_validator/nri_validator_tolerate_missing_plugins_annotation",
		},
		flags: map[option]string{
			enable: "enable-nri", socketPath: "nri-listen", pluginDir: "nri-plugin-dir",
			dropInDir: "nri-plugin-config-dir", noConnection: "nri-disable-connections",
		},
		defaults: map[option]string{socketPath: wellKnownSocket, pluginDir: nriPluginDir, dropInDir: nriDropInDir},
		enabled:  true,
	}
}

// docker has neither a default validator nor a switch for connections: without a path
// there is no socket.
func docker() *dialect {
	return &dialect{
		name: "dockerd", programs: []string{"dockerd"}, unit: "docker",
		config: "/etc/docker/daemon.json", dropIn: "/etc/docker/daemon.json",
		table: []string{"nri-opts"},
		keys: map[option]string{
			enable: "enable", socketPath: "socket-path", pluginDir: "plugin-path", dropInDir: "plugin-config-path",
		},
		defaults: map[option]string{pluginDir: "/usr/libexec/docker/nri-plugins", dropInDir: "/etc/docker/nri/conf.d"},
	}
}

// key is the full key of an option and whether its bool is to be turned round; ok is
// false where the runtime has no such option.
func (d *dialect) key(o option) (key string, negated, ok bool) {
	name, ok := d.keys[o]
	name, negated = strings.CutPrefix(name, "!")
	return keyOf(append(append([]string{}, d.table...), strings.Split(name, "/")...)...), negated, ok
}

// called is what the runtime calls an option.
func (d *dialect) called(o option) string {
	name := strings.TrimPrefix(d.keys[o], "!")
	return name[strings.LastIndex(name, "/")+1:]
}

// assignment gives an option a value: a bool, a string or a list of strings.
type assignment struct {
	option option
	value  any
}

// snippet writes assignments as the runtime reads them.
func (d *dialect) snippet(set ...assignment) string {
	if strings.HasSuffix(d.config, ".json") {
		return d.jsonSnippet(set)
	}
	var out strings.Builder
	table := ""
	for _, a := range set {
		sub, name := "", d.keys[a.option]
		if i := strings.LastIndex(name, "/"); i >= 0 {
			sub, name = "."+name[:i], name[i+1:]
		}
		if header := "[" + d.header() + sub + "]"; header != table {
			table = header
			out.WriteString(header + "\n")
		}
		name, negated := strings.CutPrefix(name, "!")
		out.WriteString("  " + name + " = " + literal(a.value, negated, "'") + "\n")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// header is the name of the table in TOML.
func (d *dialect) header() string {
	parts := make([]string, len(d.table))
	for i, p := range d.table {
		if parts[i] = p; strings.Contains(p, ".") {
			parts[i] = "'" + p + "'"
		}
	}
	return strings.Join(parts, ".")
}

func (d *dialect) jsonSnippet(set []assignment) string {
	lines := make([]string, len(set))
	for i, a := range set {
		lines[i] = fmt.Sprintf("    %q: %s", d.keys[a.option], literal(a.value, false, `"`))
	}
	return fmt.Sprintf("{\n  %q: {\n%s\n  }\n}", d.table[0], strings.Join(lines, ",\n"))
}

func literal(value any, negated bool, quote string) string {
	switch v := value.(type) {
	case bool:
		return fmt.Sprint(v != negated)
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quote + s + quote
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return quote + fmt.Sprint(v) + quote
	}
}
