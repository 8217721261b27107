package wasm

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Config says where a module is and what it may cost.
type Config struct {
	// Name of the policy.
	Name string `yaml:"name" doc:"name of the policy: lower-case letters, digits and _, beginning with a letter"`
	// Path of the module.
	Path string `yaml:"path" doc:"file that holds the module"`
	// SHA256 is what the file must have; "" is any.
	SHA256 string `yaml:"sha256" doc:"digest that the file must have, in hexadecimal; any unless given" none:"any module"`
	// Configuration is handed to plugin_configure, which the module must export then.
	Configuration string `yaml:"config" doc:"text that the module's plugin_configure is called with"`

	// Fuel that a decision may burn, about one for each simple instruction; 0 is
	// [DefaultFuel], and [MaxFuel] the most.
	Fuel uint64 `yaml:"fuel" doc:"fuel that a decision may burn, about one for each instruction; 10000000 unless given, at most 50000000"`
	// StartFuel is what setting up an instance may burn; 0 is [DefaultStartFuel], and
	// [MaxFuel] the most.
	StartFuel uint64 `yaml:"startFuel" doc:"fuel that setting up an instance may burn; 20000000 unless given, at most 50000000"`
	// MemoryPages that an instance may have, of 64 KiB; 0 is [DefaultMemoryPages].
	MemoryPages uint32 `yaml:"memoryPages" doc:"memory that an instance may have, in pages of 64 KiB; 256 unless given, at most 16384"`
	// Instances is how many there may be at a time; 0 is [DefaultInstances].
	Instances int `yaml:"instances" doc:"instances that there may be at a time, one for each decision at a time; 4 unless given, at most 256"`
	// Calls is how many decisions an instance serves; 0 is [DefaultCalls].
	Calls int `yaml:"calls" doc:"decisions that an instance serves before it is replaced; 1000 unless given; with 1 no decision depends on an earlier one"`
	// RequestBytes is how long a request may be; 0 is [DefaultRequestBytes].
	RequestBytes int `yaml:"requestBytes" doc:"size that what a module is shown may have; 1048576 unless given"`
	// AnswerBytes is how long an answer may be; 0 is [DefaultAnswerBytes].
	AnswerBytes int `yaml:"answerBytes" doc:"size that a module's answer may have; 65536 unless given"`
	// LogLines is how many lines a module may log for a decision; 0 is
	// [DefaultLogLines], a negative number none.
	LogLines int `yaml:"logLines" doc:"lines that a module may log for a decision; 16 unless given, none if negative"`
	// Limits bound what compiling the module may cost.
	Limits Limits `yaml:"limits" doc:"what the module may be made of, so that compiling it ends soon"`

	// Where says where this stands, for errors; "" is the configuration.
	Where string `yaml:"-"`
}

// Defaults and bounds of [Config].
const (
	DefaultFuel         = 10_000_000
	DefaultStartFuel    = 20_000_000
	MaxFuel             = 50_000_000
	DefaultMemoryPages  = 256   // 16 MiB
	MaxMemoryPages      = 16384 // 1 GiB
	DefaultInstances    = 4
	MaxInstances        = 256
	DefaultCalls        = 1000
	DefaultRequestBytes = 1 << 20
	DefaultAnswerBytes  = 64 << 10
	DefaultLogLines     = 16
	maxMessageBytes     = 1 << 30
)

// Options are for all modules of a program.
type Options struct {
	// Interpreter accepts that modules are interpreted where they cannot be compiled
	// to machine code, which is about eighty times slower.
	Interpreter bool
	// Cache is a directory that keeps machine code, so that it need not be compiled
	// at each start; "" is none. It must be an absolute path, and belong to the user
	// that the process runs as and be closed to everybody else: who can write there
	// can run anything.
	Cache string
	// Compilers is how many functions of a module are compiled at a time; 0 is one.
	// Each takes memory of its own. With more than one a panic of wazero's compiler,
	// should there be a module that makes it panic, ends the process, while with one it
	// is an error: so this is for programs that have nothing else to do.
	Compilers int
}

// A ConfigError says what keeps a module from being loaded.
type ConfigError struct {
	Index int    // of the module in the list
	Key   string // of the configuration, such as fuel; "" is the module as a whole
	Where string // [Config.Where]
	Err   error
}

// Error gives the message with no word of the place.
func (e *ConfigError) Error() string { return e.Err.Error() }

func (e *ConfigError) Unwrap() error { return e.Err }

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved are names that mean something else where policies are: data.nri.lib and
// data.nri.config.
var reserved = []string{"lib", "config"}

// filled returns the configuration with defaults in place of zeroes.
func (c Config) filled() Config {
	c.Fuel = cmp.Or(c.Fuel, DefaultFuel)
	c.StartFuel = cmp.Or(c.StartFuel, DefaultStartFuel)
	c.MemoryPages = cmp.Or(c.MemoryPages, DefaultMemoryPages)
	c.Instances = cmp.Or(c.Instances, DefaultInstances)
	c.Calls = cmp.Or(c.Calls, DefaultCalls)
	c.RequestBytes = cmp.Or(c.RequestBytes, DefaultRequestBytes)
	c.AnswerBytes = cmp.Or(c.AnswerBytes, DefaultAnswerBytes)
	c.LogLines = max(cmp.Or(c.LogLines, DefaultLogLines), 0)
	c.SHA256 = strings.ToLower(c.SHA256)
	return c
}

// check says what is wrong with a configuration that is filled, and with which key.
func (c *Config) check() (key string, err error) {
	if !namePattern.MatchString(c.Name) {
		return "name", fmt.Errorf("the name %q of a policy must be lower-case letters, digits and _, beginning with a letter", c.Name)
	}
	if slices.Contains(reserved, c.Name) {
		return "name", fmt.Errorf("the name %q is reserved, as package nri.%[1]s is; give the policy another", c.Name)
	}
	if c.Path == "" {
		return "path", fmt.Errorf("policy %s needs the path of its module", c.Name)
	}
	if digest, err := hex.DecodeString(c.SHA256); c.SHA256 != "" && (err != nil || len(digest) != 32) {
		return "sha256", fmt.Errorf("%q must be 64 hexadecimal digits", c.SHA256)
	}
	for _, b := range []struct {
		key        string
		value, max uint64
	}{
		{"fuel", c.Fuel, MaxFuel},
		{"startFuel", c.StartFuel, MaxFuel},
		{"memoryPages", uint64(c.MemoryPages), MaxMemoryPages},
		{"instances", uint64(c.Instances), MaxInstances}, // a negative number is a great one
		{"calls", uint64(c.Calls), 1 << 62},
		{"requestBytes", uint64(c.RequestBytes), maxMessageBytes},
		{"answerBytes", uint64(c.AnswerBytes), maxMessageBytes},
		{"logLines", uint64(c.LogLines), 10_000},
		{"limits.stackBytes", uint64(c.Limits.StackBytes), maxStackBytes},
	} {
		if b.value > b.max {
			return b.key, fmt.Errorf("%s must be from 1 to %d, or left out", b.key, b.max)
		}
	}
	return c.Limits.check()
}

// check says which limit is none.
func (l Limits) check() (key string, err error) {
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if n := v.Field(i).Int(); n < 0 || n > maxLimit {
			key = "limits." + v.Type().Field(i).Tag.Get("yaml")
			return key, fmt.Errorf("%s must be from 1 to %d, or left out", key, maxLimit)
		}
	}
	return "", nil
}
