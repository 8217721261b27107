package document

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var parsedSchema = sync.OnceValue(func() map[string]any {
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		panic(err)
	}
	return s
})

// checkSchema fails where a document is not as the schema says.
func checkSchema(t *testing.T, text []byte) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if err := conform(parsedSchema(), doc); err != nil {
		t.Fatalf("the schema does not allow what was written: %v\n%s", err, text)
	}
}

// conform knows of JSON schema what Schema makes use of, and refuses the rest.
func conform(schema map[string]any, doc any) error {
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if err := keywords(schema, keyword, doc); err != nil {
			return err
		}
	}
	return nil
}

func keywords(schema map[string]any, keyword string, doc any) error {
	switch arg := schema[keyword]; keyword {
	case "$schema", "title", "description", "properties", "definitions":
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/definitions/")
		return conform(parsedSchema()["definitions"].(map[string]any)[name].(map[string]any), doc)
	case "type":
		if is := typeOf(doc); is != arg {
			return fmt.Errorf("is %s, not %s", is, arg)
		}
	case "enum":
		if !slices.Contains(arg.([]any), doc) {
			return fmt.Errorf("%v is none of %v", doc, arg)
		}
	case "pattern":
		if !regexp.MustCompile(arg.(string)).MatchString(doc.(string)) {
			return fmt.Errorf("%v does not match %v", doc, arg)
		}
	case "minimum":
		if strings.HasPrefix(doc.(json.Number).String(), "-") {
			return fmt.Errorf("%v is below %v", doc, arg)
		}
	case "items":
		for i, e := range doc.([]any) {
			if err := conform(arg.(map[string]any), e); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case "anyOf":
		for _, s := range arg.([]any) {
			if conform(s.(map[string]any), doc) == nil {
				return nil
			}
		}
		return fmt.Errorf("%v is none of %v", doc, arg)
	case "required":
		for _, key := range arg.([]any) {
			if _, ok := doc.(map[string]any)[key.(string)]; !ok {
				return fmt.Errorf("%s is missing", key)
			}
		}
	case "additionalProperties":
		return properties(schema, arg, doc.(map[string]any))
	default:
		return fmt.Errorf("the schema has a keyword %q that this test does not know", keyword)
	}
	return nil
}

func properties(schema map[string]any, additional any, doc map[string]any) error {
	known, _ := schema["properties"].(map[string]any)
	for key, v := range doc {
		s, ok := known[key].(map[string]any)
		if !ok {
			s, ok = additional.(map[string]any)
		}
		if !ok {
			return fmt.Errorf("there is no key %q", key)
		}
		if err := conform(s, v); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func typeOf(doc any) string {
	switch v := doc.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

// What Rego's type checker would take for anything, or refuse, must not creep in;
// and whatever the document can hold must have a form.
func TestSchemaIsOneThatRegoReads(t *testing.T) {
	text := string(Schema())
	for _, bad := range []string{`"oneOf"`, `"null"`, `"additionalProperties": true`, `"properties": {}`} {
		if strings.Contains(text, bad) {
			t.Errorf("the schema contains %s", bad)
		}
	}
	var walk func(s *Shape, at string)
	walk = func(s *Shape, at string) {
		if s.Kind == Invalid {
			t.Errorf("%s: %v has no form", at, s.Type)
		}
		for _, f := range s.Fields {
			walk(f.Shape, at+"."+f.Name)
		}
		if s.Elem != nil {
			walk(s.Elem, at+"[]")
		}
	}
	walk(ReviewShape(), "")
}

// Everything that is the engine's own is explained.
func TestSchemaDescribes(t *testing.T) {
	var walk func(s *Shape, at string)
	walk = func(s *Shape, at string) {
		for _, f := range s.Fields {
			if f.Doc == "" && !s.Message {
				t.Errorf("%s.%s has no doc tag", at, f.Name)
			}
			if !s.Message {
				walk(f.Shape, at+"."+f.Name)
			}
		}
		if s.Elem != nil {
			walk(s.Elem, at+"[]")
		}
	}
	walk(ReviewShape(), "")
}
