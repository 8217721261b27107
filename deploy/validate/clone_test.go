package validate

import (
	"reflect"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// clone copies what a pointer points to, by way of TOML.
func clone(t *testing.T, v any) any {
	t.Helper()
	text, err := toml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	into := reflect.New(reflect.TypeOf(v).Elem()).Interface()
	if err := toml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
	return into
}
