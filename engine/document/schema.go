package document

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nri-guard/nri-guard/engine"
)

// Schema returns the JSON schema (draft 7) of the document, for editors and for
// the type checker of Rego.
//
// Rego's type checker reads the types of properties and of elements, anyOf and
// references; oneOf it takes for anything, and that a type may be null it refuses.
// Of objects with free keys it knows nothing but that they are objects: the type
// of changes.env's values is for editors alone.
func Schema() []byte {
	b := schemaBuilder{definitions: make(map[string]any)}
	s := b.object(ReviewShape())
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "nri-guard review"
	s["description"] = "one question to the policies: may these changes be made"
	s["definitions"] = b.definitions
	// Maps, slices and strings only: this cannot fail.
	text, _ := json.MarshalIndent(s, "", "  ")
	return append(text, '\n')
}

// schemaBuilder defines every Go struct once; a change has a schema for each field.
type schemaBuilder struct{ definitions map[string]any }

func (b schemaBuilder) schema(s *Shape) map[string]any {
	switch s.Kind {
	case Object:
		return b.reference(s)
	case Changes:
		return b.object(s)
	case Map:
		return map[string]any{"type": "object", "additionalProperties": b.schema(s.Elem)}
	case List:
		return map[string]any{"type": "array", "items": b.schema(s.Elem)}
	case Bool:
		return map[string]any{"type": "boolean"}
	case Int:
		return map[string]any{"type": "integer"}
	case Uint:
		return map[string]any{"type": "integer", "minimum": 0}
	case Enum:
		return anyOf(
			map[string]any{"type": "string", "enum": s.sortedNames()},
			map[string]any{"type": "string", "pattern": "^-?[0-9]+$", "description": "a number that this build has no name for"},
		)
	case Scalar:
		return anyOf(map[string]any{"type": "integer"}, map[string]any{"type": "string"}, map[string]any{"type": "boolean"})
	}
	if s.Values != nil {
		return map[string]any{"type": "string", "enum": s.Values}
	}
	return map[string]any{"type": "string"}
}

func (b schemaBuilder) reference(s *Shape) map[string]any {
	name := s.Type.Name()
	switch {
	case s.Type == reflect.TypeFor[engine.Change]():
		name += "." + s.Field("field").Shape.Values[0]
	case s.Message:
		name = "nri." + name
	}
	if _, ok := b.definitions[name]; !ok {
		b.definitions[name] = b.object(s)
	}
	return map[string]any{"$ref": "#/definitions/" + name}
}

func anyOf(schemas ...map[string]any) map[string]any {
	return map[string]any{"anyOf": schemas}
}

func (b schemaBuilder) object(s *Shape) map[string]any {
	properties := make(map[string]any, len(s.Fields))
	required := []string{}
	for i := range s.Fields {
		f := &s.Fields[i]
		p := b.schema(f.Shape)
		if f.Doc != "" {
			p["description"] = f.Doc
		}
		properties[f.Name] = p
		if !f.Optional {
			required = append(required, f.Name)
		}
	}
	schema := map[string]any{
		"type":                 "object",
		"properties":           properties,
		"required":             required,
		"additionalProperties": false,
	}
	if s.Message {
		schema["description"] = fmt.Sprintf("%s, as NRI gives it", s.Type.Name())
	}
	return schema
}
