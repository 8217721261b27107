package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/metrics"
	"github.com/nri-guard/nri-guard/engine"
)

const running = "../../docs/running.md"

// TestRunningExample: the configuration that docs/running.md shows is the one in
// docs/examples, and can be used.
func TestRunningExample(t *testing.T) {
	const example = "../../docs/examples/run.yaml"
	if !strings.Contains(readText(t, running), "```yaml\n"+readText(t, example)+"```") {
		t.Error("the example is not shown as it is")
	}
	l, err := load(t.Context(), example)
	if err != nil && !strings.Contains(err.Error(), "others may write it") { // wherever it has been checked out to
		t.Fatal(err)
	}
	if !l.config.Validator.Enabled || !l.config.Proxy.Enabled {
		t.Error("it is not about both")
	}
	if got := l.config.proxied(); len(got) != 2 || got[0].Identity == nil || got[1].Events == nil {
		t.Errorf("the proxy demands %+v", got)
	}
}

// TestRunningKeys: every key of the service's sections is described, and no other.
func TestRunningKeys(t *testing.T) {
	doc := readText(t, running)
	var described []string
	for line := range strings.Lines(doc) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for _, m := range regexp.MustCompile("`([a-zA-Z.\\[\\]]+)`").FindAllStringSubmatch(first, -1) {
				described = append(described, m[1])
			}
		}
	}
	schema := configSchema()["properties"].(map[string]any)
	var keys []string
	for _, section := range []string{"runtime", "validator", "proxy", "admin"} {
		keys = append(keys, keysOf(section, schema[section].(map[string]any))...)
	}
	for _, key := range keys {
		if !slices.Contains(described, key) {
			t.Errorf("%s is not described", key)
		}
	}
	for _, key := range described {
		section, _, ok := strings.Cut(key, ".")
		if ok && slices.Contains([]string{"runtime", "validator", "proxy", "admin"}, section) && !slices.Contains(keys, key) {
			t.Errorf("%s is described, and there is no such key", key)
		}
	}
}

// keysOf lists the paths of all keys without further keys below them.
func keysOf(at string, schema map[string]any) []string {
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return []string{at}
	}
	var keys []string
	for name, p := range properties {
		keys = append(keys, keysOf(at+"."+name, p.(map[string]any))...)
	}
	return keys
}

// TestRunningMetrics: every metric is described with its labels, and no other.
func TestRunningMetrics(t *testing.T) {
	m := metrics.New()
	m.Watch(func() metrics.State {
		return metrics.State{Connected: map[string]bool{"observer": true}, Plugins: []string{"a"}}
	})
	m.Loaded("r", map[string]engine.Enforcement{"p": engine.Deny}, nil, time.Now())
	err := m.Recorder(nil, false).Record(t.Context(), &engine.Review{}, &engine.Decision{
		Violations: []engine.Violation{{}}, Exempted: []engine.Exempted{{}}, Costs: []engine.Cost{{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	doc := readText(t, running)
	known := map[string]bool{}
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		if name := f.GetName(); strings.HasPrefix(name, "nri_guard_") {
			known[name] = true
			row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| ([^|]*?) ?\\|").FindStringSubmatch(doc)
			if row == nil {
				t.Errorf("%s is not described", name)
				continue
			}
			got := strings.Split(row[1], ", ")
			slices.Sort(got)
			if want := strings.Join(labels, ", "); strings.Join(got, ", ") != want {
				t.Errorf("%s has the labels %s, described are %s", name, want, row[1])
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(nri_guard_[a-z_]+)`").FindAllStringSubmatch(doc, -1) {
		if !known[m[1]] {
			t.Errorf("%s is described, and there is no such metric", m[1])
		}
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
