package main

import (
	"maps"
	"strings"

	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/observer"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// limit is what the values of a key must be, besides their type.
type limit struct {
	// key is a path of the configuration; [] is what a list holds.
	key string
	is  map[string]any
}

// limits are what those who read the keys demand of them. They refuse more than a
// schema can say.
func limits() []limit {
	pattern := func(p string) map[string]any { return map[string]any{"pattern": p} }
	upTo := func(n uint64) map[string]any { return map[string]any{"minimum": 0, "maximum": n} }
	const (
		absolute   = `^/`
		socketPath = `^/.*[^/]$`
		policyName = `^[a-z][a-z0-9_]*$`
		digest     = `^[0-9a-fA-F]{64}$`
	)
	profiles := map[string]any{"enum": policy.Profiles()}
	id := upTo(maxID)
	// taken is for names that are not to be had.
	taken := func(p string, names ...string) map[string]any {
		return map[string]any{"pattern": p, "not": map[string]any{"enum": names}}
	}
	return []limit{
		{"runtime.socket", pattern(socketPath)},
		{"runtime.builtin[]", pattern(`^[0-9]{2}-[A-Za-z0-9_.+-]+$`)},
		{"runtime.hostRoot", pattern(absolute)},
		{"validator.name", taken(`^[A-Za-z0-9_.+][A-Za-z0-9_.+-]*$`, observer.DefaultName, nri.DefaultValidator)},
		{"validator.index", pattern(`^[0-9]{2}$`)},
		{"proxy.socket", pattern(socketPath)},
		{"proxy.mode", pattern(`^0*[67][0-7]0$`)},
		{"proxy.uid", id},
		{"proxy.gid", id},
		{"proxy.launch.path", pattern(absolute)},
		{"proxy.launch.config", pattern(absolute)},
		{"policy.profile.enforce", profiles},
		{"policy.profile.audit", profiles},
		{"policy.timeout", pattern(`^\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`)},
		{"policy.enforcement", map[string]any{"propertyNames": pattern(policyName)}},
		{"policy.wasm[].name", pattern(policyName)},
		{"policy.wasm[].sha256", pattern(digest)},
		{"policy.wasm[].fuel", upTo(wasm.MaxFuel)},
		{"policy.wasm[].startFuel", upTo(wasm.MaxFuel)},
		{"policy.wasm[].memoryPages", upTo(wasm.MaxMemoryPages)},
		{"policy.wasm[].instances", upTo(wasm.MaxInstances)},
		{"policy.sandbox.cache", pattern(absolute)},
		{"plugins[].name", taken(`^([A-Za-z0-9_.+-]+|\*)$`, validator.DefaultName, observer.DefaultName, nri.DefaultValidator)},
		{"plugins[].identity", map[string]any{"minProperties": 1}},
		{"plugins[].identity.exe", pattern(absolute)},
		{"plugins[].identity.sha256", pattern(digest)},
		{"plugins[].identity.uid", id},
		{"plugins[].events[]", map[string]any{"enum": eventNames()}},
		{"plugins[].grants[].sources[]", pattern(absolute)},
		{"exemptions[].policy", pattern(policyName)},
		{"exemptions[].namespaces", map[string]any{"minItems": 1}},
		{"audit.path", pattern(`^(/.*|-|)$`)},
		{"audit.maxSize", map[string]any{"minimum": 0}},
		{"audit.maxAge", map[string]any{"minimum": 0}},
		{"admin.address", pattern(`^(off|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$`)},
	}
}

// restrict adds the limits to a schema.
func restrict(schema map[string]any) {
	for _, l := range limits() {
		maps.Copy(at(schema, l.key), l.is)
	}
}

// at returns the part of a schema that is about a key.
func at(schema map[string]any, key string) map[string]any {
	for part := range strings.SplitSeq(key, ".") {
		name, list := strings.CutSuffix(part, "[]")
		schema = schema["properties"].(map[string]any)[name].(map[string]any)
		if list {
			schema = schema["items"].(map[string]any)
		}
	}
	return schema
}
