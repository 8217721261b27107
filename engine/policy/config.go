package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/strict"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// Config says which policies decide and what is exempt from them. Its zero value
// is the profile baseline, with no grants.
type Config struct {
	Policy Policies `yaml:"policy" doc:"which policies decide"`
	// Plugins are what plugins may do beyond the profile.
	Plugins []Plugin `yaml:"plugins" doc:"what each plugin is trusted with, beyond the profile"`
	// Exemptions take policies out of force for namespaces.
	Exemptions []Exemption `yaml:"exemptions" doc:"where a policy does not apply at all"`

	// At tells where in a file the key with the given path stands, as FILE:LINE, for
	// errors; see [Decode]. Nil where there is no file.
	At func(path string) string `yaml:"-"`
}

// Policies says which policies are asked and what follows from their objections.
type Policies struct {
	Profile Profile `yaml:"profile" doc:"profiles of the library"`
	// Paths are directories, .rego files and OPA bundles with policies of one's own;
	// they are asked in every profile.
	Paths []string `yaml:"paths" doc:"directories, .rego files or OPA bundles with policies of one's own"`
	// Wasm are WebAssembly modules; they are asked in every profile.
	Wasm []wasm.Config `yaml:"wasm" doc:"WebAssembly modules that judge, each a policy"`
	// Sandbox is how the modules are run.
	Sandbox Sandbox `yaml:"sandbox" doc:"how WebAssembly modules are run"`
	// Enforcement takes the place of what policies say of themselves and of what
	// follows from the profile, by the policy's name.
	Enforcement map[string]engine.Enforcement `yaml:"enforcement" doc:"enforcement by the name of the policy: deny, strip, audit or off"`
	// Timeout bounds a decision; 0 is [engine.DefaultTimeout].
	Timeout Duration `yaml:"timeout" doc:"how long a decision may take, 500ms unless given"`
}

// Sandbox says how WebAssembly modules are run; see [wasm.Options].
type Sandbox struct {
	Interpreter bool   `yaml:"interpreter" doc:"accept that modules are interpreted, about 80 times slower, where they cannot be compiled to machine code"`
	Cache       string `yaml:"cache" doc:"directory for machine code, absolute, so that modules need not be compiled at each start; it must belong to the guard's user and be closed to all others; none unless given" none:"no directory"`
	Compilers   int    `yaml:"-"`
}

// Profile names the profiles of the library's policies.
type Profile struct {
	// Enforce is the profile whose policies are enforced; "" is [Baseline].
	Enforce string `yaml:"enforce" doc:"profile that is enforced: privileged, baseline (the default) or restricted" none:"baseline"`
	// Audit is the profile whose other policies are asked and recorded; "" is none.
	Audit string `yaml:"audit" doc:"profile whose policies are asked and recorded only" none:"no profile"`
}

// The library's profiles, after Kubernetes' Pod Security Standards.
const (
	Privileged = "privileged" // nothing is denied
	Baseline   = "baseline"   // known escalations are denied
	Restricted = "restricted" // what is not granted is denied
)

// Profiles lists the library's profiles, the most permissive first.
func Profiles() []string { return []string{Privileged, Baseline, Restricted} }

// Plugin says what a plugin may do beyond the profile.
type Plugin struct {
	Name string `yaml:"name" doc:"name of the plugin, without its index; * is every plugin that has no entry of its own, and takes no grants"`
	// Identity must match what is observed of the plugin, where it is given.
	Identity *Identity `yaml:"identity" doc:"who the plugin must be; where that cannot be known its grants do not apply"`
	// Namespaces are patterns for the namespaces of pods; none means all.
	Namespaces []string `yaml:"namespaces" doc:"patterns for the namespaces of pods in which the grants apply; all unless given" none:"all namespaces"`
	Grants     []Grant  `yaml:"grants" doc:"changes that the plugin may make"`
	// Events and Redact are for a relay between plugin and runtime; policies are not
	// concerned with them.
	Events []string `yaml:"events" doc:"events that the plugin may subscribe to, as in CreateContainer; all unless given; needs the proxy" none:"all events"`
	Redact Redact   `yaml:"redact" doc:"what the plugin is not shown; needs the proxy"`
}

// Redact says which values a plugin is not shown. Its zero value hides nothing.
type Redact struct {
	Env         []string `yaml:"env" doc:"patterns for the names of environment variables whose values are hidden"`
	Annotations []string `yaml:"annotations" doc:"patterns for the names of annotations whose values are hidden"`
}

// Identity is an [engine.IdentityMatch].
type Identity struct {
	Exe    string `yaml:"exe" doc:"path of the executable" none:"any program"`
	SHA256 string `yaml:"sha256" doc:"digest of the executable, in hexadecimal" none:"any contents"`
	UID    *int64 `yaml:"uid" doc:"user id of the process"`
}

// Grant is an [engine.Grant] of a plugin; see there for what each member means.
type Grant struct {
	Field       engine.Field `yaml:"field" doc:"field that may change"`
	Ops         []engine.Op  `yaml:"ops" doc:"what may be done: add, replace, remove; the first two unless given" none:"add and replace"`
	Keys        []string     `yaml:"keys" doc:"patterns for the key" none:"any key"`
	Values      []string     `yaml:"values" doc:"patterns for the value" none:"any value"`
	Min         *float64     `yaml:"min" doc:"lower bound of a number"`
	Max         *float64     `yaml:"max" doc:"upper bound of a number"`
	Sources     []string     `yaml:"sources" doc:"directories of the host that may be mounted"`
	ReadOnly    *bool        `yaml:"readOnly" doc:"whether the mount must be read-only"`
	Types       []string     `yaml:"types" doc:"types of mounts" none:"the types that are usual for the source"`
	Propagation []string     `yaml:"propagation" doc:"mount propagation besides private"`
	Path        string       `yaml:"path" doc:"executable of a hook, or file of a namespace"`
	Args        []string     `yaml:"args" doc:"arguments, to the letter"`
	Env         []string     `yaml:"env" doc:"environment of a hook, to the letter"`
	HostPaths   []string     `yaml:"hostPaths" doc:"patterns for the host's device nodes; the keys unless given" none:"the keys"`
}

// Exemption takes a policy out of force for the pods of some namespaces.
type Exemption struct {
	Policy     string   `yaml:"policy" doc:"name of the policy"`
	Namespaces []string `yaml:"namespaces" doc:"patterns for the namespaces of pods"`
}

// Duration is a time in the notation of [time.ParseDuration], such as 500ms.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler]. A duration must be positive.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is no positive duration such as 500ms", text)
	}
	*d = Duration(v)
	return nil
}

// Decode reads a YAML document into the struct that v points to, by the names in
// its fields' yaml tags. It forgives nothing: unknown and doubled keys are errors,
// each with file and line, and so are keys without a value, and empty lists and texts
// where that would stand for something, as their fields' tags none say. The function
// that it returns is for [Config.At].
func Decode(file string, data []byte, v any) (at func(path string) string, err error) {
	lines, errs := strict.Decode(data, v)
	var all []error
	for _, e := range errs {
		all = append(all, fmt.Errorf("%s: %s", place(file, e.Line), e.Message))
	}
	return func(path string) string { return place(file, lines[path]) + ": " + path }, errors.Join(all...)
}

func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// wrong says where in the configuration something is wrong.
func (c *Config) wrong(at string, err error) error {
	if c.At != nil {
		at = c.At(at)
	}
	return fmt.Errorf("%s: %w", at, err)
}
