package wasm_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// unexecutable is set in a process that may not make memory executable, as under
// systemd's MemoryDenyWriteExecute. It holds whether an interpreter is accepted.
const unexecutable = "NRI_GUARD_TEST_UNEXECUTABLE"

// Where machine code cannot be made loading fails with the reason, unless it is
// accepted that modules are interpreted.
func TestWithoutMachineCode(t *testing.T) {
	if accepted, ok := os.LookupEnv(unexecutable); ok {
		withoutMachineCode(t, accepted == "true")
		return
	}
	for _, accepted := range []string{"false", "true"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutMachineCode$", "-test.v")
		cmd.Env = append(os.Environ(), unexecutable+"="+accepted)
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil:
			t.Errorf("interpreter accepted %s: %v\n%s", accepted, err, out)
		case strings.Contains(string(out), "SKIP"):
			t.Skipf("%s", out)
		}
	}
}

func withoutMachineCode(t *testing.T, accepted bool) {
	const refuseExecGain = 1
	if err := unix.Prctl(unix.PR_SET_MDWE, refuseExecGain, 0, 0, 0); err != nil {
		t.Skipf("this kernel has no PR_SET_MDWE: %v", err)
	}
	rejecting := file(t, newGuest().answer([]byte("\x08\x01\x12\x02no")).module())
	looping := newGuest()
	looping.validate = wasmtest.Cat(forever(), wasmtest.I64Const(0))
	configs := []wasm.Config{{Name: "rejects", Path: rejecting}, {Name: "loops", Path: file(t, looping.module()), Fuel: wasm.MaxFuel}}
	p, err := wasm.Load(t.Context(), configs, wasm.Options{Interpreter: accepted})
	if !accepted {
		if err == nil || !strings.HasPrefix(err.Error(), "modules cannot be compiled to machine code here (permission denied); ") {
			t.Errorf("%v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	// The interpreter is too slow for all that fuel, and is not waited for.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	v := p.Judge(ctx, middling())
	if len(v.Failures) == 0 || v.Failures[0].Policy != "loops" || v.Failures[0].Message != "it had no answer in time" {
		t.Errorf("loops: %+v", v)
	}
	v = p.Judge(t.Context(), small())
	if len(v.Failures) > 0 {
		t.Errorf("small: %+v", v)
	}
}

// damage flips the bytes in the middle of what is cached.
func damage(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text[len(text)/2] ^= 0xff
		return os.WriteFile(path, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A directory for machine code must be nobody else's.
func TestCache(t *testing.T) {
	module := newGuest().answer([]byte("\x08\x01\x12\x02no")).module()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, f := range []func() error{
		func() error { return os.Mkdir(path("open"), 0o700) },
		func() error { return os.Chmod(path("open"), 0o710) },
		func() error { return os.WriteFile(path("file"), nil, 0o600) },
		func() error { return os.Mkdir(path("good"), 0o700) },
		func() error { return os.Symlink(path("good"), path("link")) },
		func() error { return os.Mkdir(path("shared"), 0o700) },
		func() error { return os.Chmod(path("shared"), 0o777) },
		func() error { return os.Mkdir(path("shared/own"), 0o700) },
		func() error { return os.Mkdir(path("good/below"), 0o700) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ dir, want string }{
		"relative":              {"cache", "the path must be absolute"},
		"not clean":             {path("good") + "/../good", "the path must be absolute, with neither . nor .. in it"},
		"open to the group":     {path("open"), "has mode 0710 and must be closed to everybody but its owner (0700)"},
		"a file":                {path("file"), "is no directory"},
		"a link":                {path("link"), "is a symbolic link; name the directory itself"},
		"below a link":          {path("link/below"), "/link is a symbolic link; name the directory that it leads to"},
		"below a shared one":    {path("shared/own"), "/shared, above it, has mode 0777, so that others can replace it"},
		"below nothing":         {path("none/cache"), "no such file or directory"},
		"the machine's for all": {"/tmp", "closed to everybody"},
	} {
		_, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: file(t, module)}}, wasm.Options{Cache: c.dir})
		if err == nil || !strings.HasPrefix(err.Error(), "cache of machine code") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for _, good := range []string{path("good"), path("new")} {
		for range 2 { // the second time from the cache
			p, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: file(t, module)}}, wasm.Options{Cache: good})
			if err != nil {
				t.Fatal(err)
			}
			if v := p.Judge(t.Context(), middling()); len(v.Violations) != 1 || v.Violations[0].Message != "no" {
				t.Errorf("%+v", v)
			}
		}
		if entries, err := os.ReadDir(good); err != nil || len(entries) == 0 {
			t.Errorf("%s: %v, %v", good, entries, err)
		}
	}
	damage(t, path("good"))
	_, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: file(t, module)}}, wasm.Options{Cache: path("good")})
	if err == nil || !strings.Contains(err.Error(), path("good")+", empty it or make room for it") {
		t.Errorf("damaged: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path("good"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		_, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: file(t, module)}}, wasm.Options{Cache: path("good")})
		if err == nil || !strings.Contains(err.Error(), "must belong to the user that the guard runs as (0)") {
			t.Errorf("somebody else's: %v", err)
		}
	}
}
