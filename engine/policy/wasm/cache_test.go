package wasm_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

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

// cached is a directory with the machine code of a module, and the file of that.
func cached(t *testing.T, module string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := loadCached(t, module, dir); err != nil || said != "" {
		t.Fatalf("%v; %s", err, said)
	}
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil || len(files) != 2 || files[1] != files[0]+".sha256" {
		t.Fatalf("%v, %v", files, err)
	}
	return dir, files[0]
}

// loadCached loads a module that rejects, and returns what is logged.
func loadCached(t *testing.T, module, dir string) (said string, err error) {
	t.Helper()
	var out bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&out)
	ctx := log.WithLogger(t.Context(), logrus.NewEntry(logger))
	p, err := wasm.Load(ctx, []wasm.Config{{Name: "policy", Path: module}}, wasm.Options{Cache: dir})
	if err != nil {
		return out.String(), err
	}
	if v := p.Judge(t.Context(), middling()); len(v.Violations) != 1 || v.Violations[0].Message != "no" {
		t.Errorf("verdict: %+v", v)
	}
	return out.String(), nil
}

// Machine code that is not what was written is not run: it is removed with a warning,
// and compiled anew.
func TestCacheDamaged(t *testing.T) {
	module := file(t, newGuest().answer([]byte("\x08\x01\x12\x02no")).module())
	flip := func(at func(size int) int) func(file string) error {
		return func(file string) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			text[at(len(text))] ^= 0xff
			return os.WriteFile(file, text, 0o600)
		}
	}
	const damaged, missing = "it is damaged, or its digest is", "its digest is missing"
	for name, c := range map[string]struct {
		damage func(file string) error
		why    string
	}{
		"the first byte":          {flip(func(int) int { return 0 }), damaged},
		"the number of functions": {flip(func(int) int { return len("WAZEVO") + 1 + len("dev") + 2 }), damaged},
		"the code":                {flip(func(size int) int { return size / 2 }), damaged},
		"the last byte":           {flip(func(size int) int { return size - 1 }), damaged},
		"cut off":                 {func(file string) error { return os.Truncate(file, 100) }, damaged},
		"empty":                   {func(file string) error { return os.Truncate(file, 0) }, damaged},
		"its digest":              {func(file string) error { return flip(func(int) int { return 0 })(file + ".sha256") }, damaged},
		"no digest":               {func(file string) error { return os.Remove(file + ".sha256") }, missing},
	} {
		dir, file := cached(t, module)
		before, err := os.ReadFile(file)
		if err := errors.Join(err, c.damage(file)); err != nil {
			t.Fatal(err)
		}
		said, err := loadCached(t, module, dir)
		if want := "cache of machine code: " + file + " is removed, to be compiled anew: " + c.why; err != nil || !strings.Contains(said, want) || !strings.Contains(said, "level=warning") {
			t.Errorf("%s: %v; logged %s, want %s", name, err, said, want)
		}
		if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: not what it was, %v", name, err)
		}
		if said, err := loadCached(t, module, dir); err != nil || said != "" {
			t.Errorf("%s, the next time: %v; %s", name, err, said)
		}
	}
}

// Where somebody else may have written what is in the directory nothing of it is run.
func TestCacheOfOthers(t *testing.T) {
	module := file(t, newGuest().answer([]byte("\x08\x01\x12\x02no")).module())
	for name, c := range map[string]struct {
		tamper func(file string) error
		want   string // behind the directory
	}{
		"a file for the group": {func(file string) error { return os.Chmod(file, 0o620) }, "/wazero-.*/[0-9a-f]{64}: has mode 0620, so that others can write it; find out who put it there, and empty the directory$"},
		"a digest for all":     {func(file string) error { return os.Chmod(file+".sha256", 0o606) }, "/wazero-.*/[0-9a-f]{64}.sha256: has mode 0606, so that others"},
		"a directory for all":  {func(file string) error { return os.Chmod(filepath.Dir(file), 0o707) }, "/wazero-[^/]*: has mode 0707, so that others can write it; "},
		"a file of any name": {func(file string) error {
			return errors.Join(os.WriteFile(file+".x", nil, 0o600), os.Chmod(file+".x", 0o622))
		}, "/wazero-.*.x: has mode 0622"},
		"a link":                 {func(file string) error { return errors.Join(os.Rename(file, file+".x"), os.Symlink(file+".x", file)) }, "/wazero-.*/[0-9a-f]{64}: is neither a file nor a directory"},
		"a link to a directory":  {func(file string) error { return os.Symlink("/", file+".x") }, "/wazero-.*.x: is neither a file nor a directory"},
		"somebody else's file":   {func(file string) error { return chown(file) }, "/wazero-.*/[0-9a-f]{64}: belongs to user 65534, and the guard runs as 0; "},
		"somebody else's digest": {func(file string) error { return chown(file + ".sha256") }, "/wazero-.*/[0-9a-f]{64}.sha256: belongs to user 65534, and the guard runs as 0; "},
	} {
		dir, file := cached(t, module)
		if err := c.tamper(file); errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			continue // giving a file away takes root
		} else if err != nil {
			t.Fatal(err)
		}
		_, err := loadCached(t, module, dir)
		if want := "^cache of machine code: " + regexp.QuoteMeta(dir) + c.want; err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// What else is wrong with the cache names the directory, and what to do about it.
func TestCacheUnusable(t *testing.T) {
	module := file(t, newGuest().answer([]byte("\x08\x01\x12\x02no")).module())
	dir, file := cached(t, module)
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	_, err := loadCached(t, module, dir)
	if want := "; where that is about the cache of machine code, " + dir + ", empty it or make room for it"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func chown(file string) error { return os.Chown(file, 65534, 65534) }
