package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine/nri/trust"
)

// TestTree has cases as steps that make a tree below DIR, and what is said of
// DIR/etc/policies then.
func TestTree(t *testing.T) {
	const file = "etc/policies/a.rego"
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // DIR stands for the directory; "" is fine
	}{
		"as it should be": {func(*testing.T, string) {}, ""},
		"a file for its group": {
			func(t *testing.T, dir string) { chmod(t, 0o664, dir, file) },
			"others may write it: DIR/etc/policies/a.rego has mode -rw-rw-r--; run chmod go-w on it"},
		"a file for everybody": {
			func(t *testing.T, dir string) { chmod(t, 0o646, dir, file) },
			"others may write it: DIR/etc/policies/a.rego has mode -rw-r--rw-; run chmod go-w on it"},
		"a directory for everybody": {
			func(t *testing.T, dir string) { chmod(t, 0o777, dir, "etc/policies") },
			"others may write it: DIR/etc/policies has mode drwxrwxrwx; run chmod go-w on it"},
		"a directory above it": {
			func(t *testing.T, dir string) { chmod(t, 0o775, dir, "etc") },
			"others may write it: DIR/etc has mode drwxrwxr-x; run chmod go-w on it"},
		"a sticky directory above it": {
			func(t *testing.T, dir string) { chmod(t, 0o777|os.ModeSticky, dir, "etc") }, ""},
		"a sticky directory is open to additions": {
			func(t *testing.T, dir string) { chmod(t, 0o777|os.ModeSticky, dir, "etc/policies") },
			"others may add to it: DIR/etc/policies is writable for more than its owner; run chmod go-w on it"},
		"somebody else's file": {
			func(t *testing.T, dir string) { chown(t, dir, file) },
			"others may write it: DIR/etc/policies/a.rego belongs to user 4711; run chown root on it"},
		"somebody else's directory above it": {
			func(t *testing.T, dir string) { chown(t, dir, "etc") },
			"others may write it: DIR/etc belongs to user 4711; run chown root on it"},
		"a link to a file that is not safe": {
			func(t *testing.T, dir string) {
				mkdir(t, dir, "open")
				write(t, dir, "open/b.rego")
				chmod(t, 0o777, dir, "open")
				link(t, "../../open/b.rego", dir, "etc/policies/b.rego")
			},
			"others may write it: DIR/open has mode drwxrwxrwx; run chmod go-w on it"},
		"the directory is a link through one that is not safe": {
			func(t *testing.T, dir string) {
				mkdir(t, dir, "open")
				chmod(t, 0o777, dir, "open")
				rename(t, dir, "etc/policies", "real")
				link(t, dir+"/open/../real", dir, "etc/policies")
			},
			"others may write it: DIR/open has mode drwxrwxrwx; run chmod go-w on it"},
		"a link that is safe": {
			func(t *testing.T, dir string) {
				rename(t, dir, "etc/policies", "real")
				link(t, "../real", dir, "etc/policies")
			}, ""},
		"links in a circle": {
			func(t *testing.T, dir string) {
				rename(t, dir, "etc/policies", "real")
				link(t, "policies", dir, "etc/policies")
			},
			"DIR/etc/policies: too many symbolic links"},
		"nothing there": {
			func(t *testing.T, dir string) { rename(t, dir, "etc/policies", "gone") }, ""},
		"nothing there, and everybody may make it": {
			func(t *testing.T, dir string) {
				rename(t, dir, "etc/policies", "gone")
				chmod(t, 0o777|os.ModeSticky, dir, "etc")
			},
			"others may make it: DIR/etc/policies does not exist, and everybody may write its directory; make it first"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			chmod(t, 0o755, dir, "")
			mkdir(t, dir, "etc/policies")
			write(t, dir, file)
			c.change(t, dir)
			got := ""
			if err := new(trust.Checker).Tree(filepath.Join(dir, "etc/policies")); err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestDir: what is in the directory is of no concern.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	chmod(t, 0o755, dir, "")
	mkdir(t, dir, "run")
	write(t, dir, "run/socket")
	chmod(t, 0o666, dir, "run/socket")
	for _, path := range []string{"run", "missing/below"} {
		if err := new(trust.Checker).Dir(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	chmod(t, 0o777|os.ModeSticky, dir, "run")
	want := "others may add to it: " + dir + "/run is writable for more than its owner; run chmod go-w on it"
	if err := new(trust.Checker).Dir(filepath.Join(dir, "run")); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestReadOnly: Kubernetes mounts a ConfigMap with mode 0777, and read-only.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	chmod(t, 0o755, dir, "")
	mkdir(t, dir, "config")
	if err := unix.Mount("none", filepath.Join(dir, "config"), "tmpfs", 0, "mode=0777"); err != nil {
		t.Skipf("mounting needs root: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(filepath.Join(dir, "config"), unix.MNT_DETACH) })
	write(t, dir, "config/config.yaml")
	c := &trust.Checker{}
	if err := c.Path(filepath.Join(dir, "config/config.yaml")); err == nil {
		t.Error("a directory that everybody may write is let through")
	}
	if err := unix.Mount("", filepath.Join(dir, "config"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Tree(filepath.Join(dir, "config")); err != nil {
		t.Error(err)
	}
}

// TestRelative: a path that is not absolute starts at the working directory.
func TestRelative(t *testing.T) {
	dir := t.TempDir()
	chmod(t, 0o755, dir, "")
	t.Chdir(dir)
	write(t, dir, "config.yaml")
	if err := new(trust.Checker).Path("config.yaml"); err != nil {
		t.Error(err)
	}
	chmod(t, 0o666, dir, "config.yaml")
	if err := new(trust.Checker).Path("config.yaml"); err == nil {
		t.Error("let through")
	}
}

func chmod(t *testing.T, mode os.FileMode, path ...string) {
	t.Helper()
	must(t, os.Chmod(filepath.Join(path...), mode))
}

func chown(t *testing.T, path ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("giving a file away needs root")
	}
	must(t, os.Chown(filepath.Join(path...), 4711, 4711))
}

func mkdir(t *testing.T, path ...string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(path...), 0o755))
}

func write(t *testing.T, path ...string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(path...), nil, 0o644))
}

func link(t *testing.T, target string, path ...string) {
	t.Helper()
	must(t, os.Symlink(target, filepath.Join(path...)))
}

func rename(t *testing.T, dir, from, to string) {
	t.Helper()
	must(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRoot has another file system's paths and absolute links start at its root, with
// nothing above it in question.
func TestRoot(t *testing.T) {
	above := t.TempDir()
	root := filepath.Join(above, "root")
	mkdir(t, root, "etc/policies")
	mkdir(t, root, "open")
	write(t, root, "etc/policies/a.rego")
	link(t, "/etc/policies", root, "policies")
	chmod(t, 0o777, above)
	files := trust.Checker{Root: root}
	if err := files.Tree("/policies"); err != nil {
		t.Error(err)
	}
	chmod(t, 0o777, root, "etc")
	files = trust.Checker{Root: root}
	want := "others may write it: /etc has mode drwxrwxrwx; run chmod go-w on it"
	if err := files.Tree("/policies"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
