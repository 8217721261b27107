package main

import (
	"encoding"
	"reflect"
	"strings"

	"github.com/nri-guard/nri-guard/engine"
)

// configSchema returns the JSON schema of the configuration file, derived from the
// types that it is read into.
func configSchema() map[string]any {
	s := typeSchema(reflect.TypeFor[config]())
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "nri-guard configuration"
	s["required"] = []string{"version"}
	properties := s["properties"].(map[string]any)
	properties["version"].(map[string]any)["const"] = configVersion
	itemsOf(properties["plugins"])["required"] = []string{"name"}
	itemsOf(properties["exemptions"])["required"] = []string{"policy", "namespaces"}
	restrict(s)
	return s
}

// itemsOf is the schema of what a list holds.
func itemsOf(list any) map[string]any { return list.(map[string]any)["items"].(map[string]any) }

// typeSchema describes the YAML that a type is read from, by its fields' yaml, doc and
// none tags.
func typeSchema(t reflect.Type) map[string]any {
	if words := enumOf(t); words != nil {
		return map[string]any{"type": "string", "enum": words}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.Struct:
		properties := map[string]any{}
		addProperties(properties, t)
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{"type": "string"}
}

func addProperties(properties map[string]any, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			addProperties(properties, f.Type)
		case name != "" && name != "-":
			p := typeSchema(f.Type)
			p["description"] = f.Tag.Get("doc")
			switch {
			case f.Tag.Get("none") == "":
			case f.Type.Kind() == reflect.Slice:
				p["minItems"] = 1
			default:
				p["minLength"] = 1
			}
			properties[name] = p
		}
	}
}

// enumOf lists the words that a type stands for.
func enumOf(t reflect.Type) []string {
	var words []string
	switch t {
	case reflect.TypeFor[engine.Enforcement]():
		for e := engine.Deny; e <= engine.Off; e++ {
			words = append(words, e.String())
		}
	case reflect.TypeFor[engine.Op]():
		for _, op := range engine.Ops() {
			words = append(words, string(op))
		}
	case reflect.TypeFor[engine.Field]():
		for _, f := range engine.Fields() {
			words = append(words, string(f.Field))
		}
	}
	return words
}
