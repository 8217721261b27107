package wasm

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// Each limit that modules are held to has a key, of its own name, that reaches it.
func TestLimits(t *testing.T) {
	var c Config
	keys := reflect.ValueOf(&c.Limits).Elem()
	for i := range keys.NumField() {
		keys.Field(i).SetInt(int64(1000 + i))
		f := keys.Type().Field(i)
		if want := strings.ToLower(f.Name[:1]) + f.Name[1:]; f.Tag.Get("yaml") != want || !strings.Contains(f.Tag.Get("doc"), "unless given") {
			t.Errorf("%s has the key %q: %s", f.Name, f.Tag.Get("yaml"), f.Tag.Get("doc"))
		}
	}
	c.MemoryPages = 7
	limits := reflect.ValueOf(c.meter())
	for i := range limits.NumField() {
		name := limits.Type().Field(i).Name
		want := int64(7)
		if key := keys.FieldByName(name); key.IsValid() {
			want = key.Int()
		}
		if got := limits.Field(i).Int(); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

// What the keys say of themselves is what holds where they are not given.
func TestDefaults(t *testing.T) {
	defaults := reflect.ValueOf(meter.DefaultLimits())
	keys := reflect.TypeFor[Limits]()
	for i := range keys.NumField() {
		f := keys.Field(i)
		if want := fmt.Sprintf("; %d unless given", defaults.FieldByName(f.Name).Int()); !strings.HasSuffix(f.Tag.Get("doc"), want) {
			t.Errorf("%s says %q, want %q", f.Name, f.Tag.Get("doc"), want)
		}
	}
	filled := reflect.ValueOf((Config{}).filled())
	for _, name := range []string{"Fuel", "StartFuel", "MemoryPages", "Instances", "Calls", "RequestBytes", "AnswerBytes", "LogLines"} {
		f, _ := filled.Type().FieldByName(name)
		if want := fmt.Sprintf(" %v unless given", filled.FieldByName(name)); !strings.Contains(f.Tag.Get("doc"), want) {
			t.Errorf("%s says %q, want %q", name, f.Tag.Get("doc"), want)
		}
	}
}

// What a limit says names its key in the configuration.
func TestLimitIsNamed(t *testing.T) {
	for limit, want := range map[string]string{"nesting": "limits.nesting", "memoryPages": "memoryPages"} {
		if got := inConfiguration(&meter.LimitError{Limit: limit}).Error(); !strings.HasSuffix(got, " that "+want+" allows") {
			t.Errorf("%s: %s", limit, got)
		}
	}
}

// A stack has a bound of its own, below which a call is ended for its depth by the
// module's limit and never by wazero's.
func TestStackIsBounded(t *testing.T) {
	for bytes, want := range map[int]string{
		maxStackBytes: "", maxStackBytes + 1: "limits.stackBytes must be from 1 to 134217728, or left out", -1: "limits.stackBytes must be from 1 to 134217728, or left out",
	} {
		c := Config{Name: "own", Path: "own.wasm", Limits: Limits{StackBytes: bytes}}.filled()
		key, err := c.check()
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && (got != want || key != "limits.stackBytes") {
			t.Errorf("%d bytes: %s: %v, want %s", bytes, key, err, want)
		}
	}
}
