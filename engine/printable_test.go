package engine_test

import (
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünïcode":       "plain ünïcode",
		"two\nlines":          `two\nlines`,
		"\x1b[2Jcleared":      `\x1b[2Jcleared`,
		"right\u202eto left":  `right\u202eto left`,
		"not \xff utf-8":      "not \ufffd utf-8",
		"tab\tand\rreturn\a.": `tab\tand\rreturn\a.`,
	} {
		if got := engine.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

// What is said for people is printable, whoever chose the words; what they are
// about stays as it is.
func TestReasonsArePrintable(t *testing.T) {
	const evil = "a\x1b[2J\nlevel=info msg=\"Ready\" \u202e"
	const shown = `a\x1b[2J\nlevel=info msg="Ready" \u202e`
	v := engine.Violation{Policy: "p", Message: "not " + evil, Plugin: "10-" + evil, Field: engine.Env, Key: evil}
	d := &engine.Decision{
		Failures:   []engine.Failure{{Message: evil}, {Policy: "p", Message: evil}},
		Violations: []engine.Violation{v, {Policy: "q", Message: evil}},
	}
	want := "nri-guard denied CreateContainer: " + shown + "; p: could not decide: " + shown +
		"; p: not " + shown + " (plugin 10-" + shown + ", env " + shown + "); q: " + shown
	if got := d.Err(engine.CreateContainer).Error(); got != want {
		t.Errorf("error %q\nwant  %q", got, want)
	}
	for _, c := range []engine.Change{
		{Op: engine.Add, Field: engine.Env, Key: evil},
		{Op: engine.Add, Field: engine.MountPoint, Key: "m", Value: &engine.Mount{Type: "bind", Source: evil}},
		{Op: engine.Add, Field: engine.OCIHook, Key: "h", Value: &engine.Hook{Path: "/h", Args: []string{evil}}},
		{Op: engine.Replace, Field: engine.Args, Value: []string{evil}},
		{Op: engine.Add, Field: engine.NetDevice, Key: "eth0", Value: &api.LinuxNetDevice{Name: evil}},
	} {
		if got := c.String(); engine.Printable(got) != got {
			t.Errorf("change %q", got)
		}
	}
}
