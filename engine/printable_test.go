package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

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

func TestBrief(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"four", "four"},
		{"fives", "five... (5 bytes)"},
		{"abcü", "abc... (5 bytes)"}, // not half of a character
	} {
		if got := engine.Brief(c.in, 4); got != c.want {
			t.Errorf("Brief(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// Whatever length plugins, policies and recorders give their texts, and however many
// they are: what is said of a denial is short enough to be sent, and begins with what
// matters.
func TestReasonsAreBrief(t *testing.T) {
	const most = 64 << 10
	long := "/" + strings.Repeat("\x7f", 1<<20)
	mount := &engine.Mount{Type: "bind", Source: long, ResolvedSource: long}
	changes := make([]*engine.Change, 5000)
	for i := range changes {
		changes[i] = &engine.Change{ID: fmt.Sprint(i), Op: engine.Add, Field: engine.MountPoint, Key: fmt.Sprint("/", i)}
	}
	for name, c := range map[string]struct {
		review *engine.Review
		says   engine.Verdict
		want   []string
	}{
		"one long name": {
			&engine.Review{Changes: []*engine.Change{{ID: "1", Op: engine.Add, Field: engine.MountPoint, Key: long, Value: mount}}},
			engine.Verdict{Violations: []engine.Violation{{Policy: "p", Change: "1"}, {Policy: "q", Change: "1", Message: "not " + long}}},
			[]string{"p: may not add mount /\\x7f", " bytes) (mount /\\x7f", "q: not /\\x7f", "... (1048581 bytes) (mount /\\x7f"},
		},
		"a long reason why it is malformed": {
			&engine.Review{Malformed: []string{"what is " + long}}, engine.Verdict{},
			[]string{"malformed request: what is /\\x7f", "bytes)"},
		},
		"a long failure": {
			&engine.Review{}, engine.Verdict{Failures: []engine.Failure{{Policy: "p", Message: long}}},
			[]string{"p: could not decide: /\\x7f", "... (1048577 bytes)"},
		},
		"a change that does not exist": {
			&engine.Review{}, engine.Verdict{Violations: []engine.Violation{{Policy: "p", Change: long}}},
			[]string{"p: could not decide: it objects to a change", "bytes)"},
		},
		"many": {
			&engine.Review{Changes: changes}, objections(changes),
			[]string{"nri-guard denied CreateContainer: p: may not add mount /0 (mount /0); ", "; and 4", " more"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.review.Operation = engine.CreateContainer
			d := engine.New(engine.Rules{Policies: says(c.says)}).Decide(t.Context(), c.review)
			text := d.Err(engine.CreateContainer).Error()
			if len(text) > most || !utf8.ValidString(text) {
				t.Errorf("%d bytes", len(text))
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%.200q ... does not say %q", text, want)
				}
			}
		})
	}
}

// objections object to each change.
func objections(changes []*engine.Change) engine.Verdict {
	var v engine.Verdict
	for _, c := range changes {
		v.Violations = append(v.Violations, engine.Violation{Policy: "p", Change: c.ID})
	}
	return v
}

// Values that are masked stay so where a text is cut: no part of one is left.
func TestWhatIsCutIsMaskedBefore(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	for at := range 1100 {
		source := "/" + strings.Repeat("x", at) + secret
		r := &engine.Review{
			Operation: engine.CreateContainer,
			Container: &api.Container{Env: []string{"TOKEN=" + secret}},
			Changes: []*engine.Change{
				{ID: "1", Op: engine.Add, Field: engine.OCIHook, Key: "poststop", Value: &engine.Hook{Path: source}},
				{ID: "3", Op: engine.Add, Field: engine.Annotation, Key: "a", Value: source},
				{ID: "2", Op: engine.Add, Field: engine.Namespaces, Key: "net", Value: &engine.Namespace{Path: strings.Repeat("y", 3*at) + source}},
			},
		}
		v := engine.Verdict{Violations: []engine.Violation{{Policy: "p", Change: "1"}, {Policy: "p", Change: "2"}, {Policy: "p", Change: "3"}}}
		d := engine.New(engine.Rules{Policies: says(v)}).Decide(t.Context(), r)
		if text := d.Err(engine.CreateContainer).Error(); strings.Contains(text, secret[:5]) {
			t.Fatalf("at %d: a part of the secret is in %.60q...", at, text)
		}
	}
}
