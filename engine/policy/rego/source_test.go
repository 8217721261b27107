package rego_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

const simple = `deny contains "no" if input.operation == "StopContainer"`

// TestSources: what archives cannot hold.
func TestSources(t *testing.T) {
	tests := []struct {
		name  string
		build func(t *testing.T, dir string) error
		want  string // "" is fine
	}{
		{"a link to a file, as in a volume of Kubernetes", func(t *testing.T, dir string) error {
			return first(os.Mkdir(dir+"/..data", 0o755), os.Rename(dir+"/p0/p0.rego", dir+"/..data/p0.rego"),
				os.Remove(dir+"/p0"), os.Symlink("..data/p0.rego", dir+"/p0.rego"))
		}, ""},
		{"a link to a directory", func(t *testing.T, dir string) error {
			return os.Symlink(t.TempDir(), dir+"/linked")
		}, "linked: is a symbolic link to a directory or to nothing; name the directory itself"},
		{"a link to nothing", func(t *testing.T, dir string) error {
			return os.Symlink("gone", dir+"/linked")
		}, "linked: is a symbolic link to a directory or to nothing; name the directory itself"},
		{"a large module", func(t *testing.T, dir string) error {
			return os.WriteFile(dir+"/p0/more.rego", []byte("package nri.policies.p0\n"+strings.Repeat("#", 1<<20)), 0o644)
		}, "more.rego: is larger than 1048576 bytes"},
		{"large data", func(t *testing.T, dir string) error {
			return os.WriteFile(dir+"/p0/data.json", make([]byte, 17<<20), 0o644)
		}, "data.json: is larger than 16777216 bytes"},
		{"a pipe", func(t *testing.T, dir string) error {
			return syscall.Mkfifo(dir+"/p0/pipe.rego", 0o600)
		}, "/p0/pipe.rego: is no regular file"},
		{"a pipe for data", func(t *testing.T, dir string) error {
			return first(syscall.Mkfifo(dir+"/pipe", 0o600), os.Symlink("../pipe", dir+"/p0/data.json"))
		}, "/p0/data.json: is no regular file"},
		{"bytes that are no text", func(t *testing.T, dir string) error {
			return os.WriteFile(dir+"/p0/more.rego", []byte("package nri.policies.p0\n\nx := \"\xff\"\n"), 0o644)
		}, "more.rego:3: illegal utf-8 character (x := \"\xff\")"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := write(t, simple)
			if err := tt.build(t, s.Paths[0]); err != nil {
				t.Fatal(err)
			}
			_, err := rego.Load(t.Context(), s)
			if got := errorText(err); got != tt.want && !strings.HasSuffix(got, tt.want) || tt.want == "" && err != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestPipes: nobody writes into one that is named as a policy.
func TestPipes(t *testing.T) {
	for _, name := range []string{"p.rego", "p.tar.gz", "p"} {
		path := filepath.Join(t.TempDir(), name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := rego.Load(t.Context(), rego.Sources{Paths: []string{path}})
		if got, want := errorText(err), path+": is no regular file"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestDigest: the digest tells what decides apart, and nothing else.
func TestDigest(t *testing.T) {
	digest := func(s rego.Sources) [32]byte {
		p, err := rego.Load(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest()
	}
	base := digest(write(t, simple))
	if digest(write(t, simple)) != base {
		t.Error("another directory gives another digest")
	}
	tested := write(t, simple)
	if err := os.WriteFile(filepath.Join(tested.Paths[0], "p0", "p0_test.rego"), []byte("package nri.policies.p0_test\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if digest(tested) != base {
		t.Error("a test gives another digest")
	}
	withData := write(t, simple)
	if err := os.WriteFile(filepath.Join(withData.Paths[0], "p0", "data.json"), []byte(`{"x": 1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	configured := write(t, simple)
	configured.Config = map[string]any{"x": "y"}
	for name, s := range map[string]rego.Sources{"policy": write(t, simple+"\n"), "data": withData, "config": configured} {
		if digest(s) == base {
			t.Errorf("another %s gives the same digest", name)
		}
	}
}

// TestUnknownPolicy: an enforcement for nothing is an error.
func TestUnknownPolicy(t *testing.T) {
	p, err := rego.Load(t.Context(), write(t, simple))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Judge(map[string]engine.Enforcement{"p1": engine.Audit}); errorText(err) != `there is no policy "p1"` {
		t.Error(err)
	}
}

// TestLoadCancelled: loading that is given up says so.
func TestLoadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rego.Load(ctx, write(t, simple)); errorText(err) != "policies: loading was given up: context canceled" {
		t.Error(err)
	}
}

// FuzzLoad: whatever a module holds, loading it ends in an error or in policies
// that judge.
func FuzzLoad(f *testing.F) {
	for _, body := range []string{simple, endless, "x", `deny contains {"change": c.id} if some c in input.changes.mount`,
		"# METADATA\n# custom: {enforcement: audit}\n", "deny contains x if { x := data.nri.policies.p }",
		"deny contains f(input)\n\nf(x) := y if y := x.pod", "warn contains x if every x in input.changes.env { x.key }"} {
		f.Add("package nri.policies.p\n\n" + body)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			t.Skip("what explodes when it is compiled is not looked for here")
		}
		p, err := rego.Load(t.Context(), rego.Sources{Library: fstest.MapFS{"p/p.rego": {Data: []byte(text)}}})
		if err != nil {
			return
		}
		j, err := p.Judge(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*engine.Review{review(), review("mount:/data", "env:A", "hook:prestart")} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			j.Judge(ctx, r)
			cancel()
		}
	})
}
