// Package tools builds what the tests run against, from source: the container
// runtimes as they are released, the guard, and plugins.
package tools

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A release is built with the dependencies that its own go.mod names, so that it is
// the runtime that people run.
type release struct {
	module, version string
	commands        []string
	args, env       []string
}

var releases = []release{
	{
		module:   "github.com/containerd/containerd/v2",
		version:  "v2.4.2",
		commands: []string{"cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"},
		env:      []string{"CGO_ENABLED=0"},
	},
	{
		module:  "github.com/opencontainers/runc",
		version: "v1.5.2",
		args:    []string{"-tags", "seccomp"},
		env:     []string{"CGO_ENABLED=1"},
	},
	{
		module:   "github.com/moby/moby/v2",
		version:  "v2.0.0-beta.24",
		commands: []string{"cmd/dockerd"},
		env:      []string{"CGO_ENABLED=0"},
	},
}

// packages are Debian's, by a file that tells whether they are installed.
var packages = []struct{ name, file string }{
	{"gcc", "/usr/bin/gcc"},
	{"libc6-dev", "/usr/include/stdlib.h"},
	{"pkg-config", "/usr/bin/pkg-config"},
	{"libseccomp-dev", "/usr/include/seccomp.h"},
	{"busybox-static", Busybox},
}

// Busybox is where Debian's busybox-static is.
const Busybox = "/bin/busybox"

// Runtimes installs Debian's packages that are missing, builds the runtimes unless
// they are in the cache, and returns the directory that they are in. It writes to w
// what it does, since it takes minutes.
func Runtimes(w io.Writer) (string, error) {
	if err := install(w); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := "e2e"
	for _, r := range releases {
		name += "-" + r.version
	}
	dir := filepath.Join(cache, "nri-guard", name)
	for _, r := range releases {
		if err := r.build(w, dir); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func install(w io.Writer) error {
	var missing []string
	for _, p := range packages {
		if _, err := os.Stat(p.file); err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	say(w, "installing %s", strings.Join(missing, " "))
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	if err := run(w, "", env, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	args := []string{"install", "-y", "-qq", "--no-install-recommends"}
	return run(w, "", env, "apt-get", append(args, missing...)...)
}

// build builds beside the cache and renames, so that what is in the cache is whole.
func (r *release) build(w io.Writer, dir string) error {
	if r.built(dir) {
		return nil
	}
	start := time.Now()
	say(w, "building %s %s, which takes minutes", r.module, r.version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary directory
	args := append([]string{"install"}, r.args...)
	for _, p := range r.paths() {
		args = append(args, p+"@"+r.version)
	}
	// Outside of any module, as the go command wants it.
	if err := run(w, work, append(r.env, "GOBIN="+work, "GOFLAGS="), "go", args...); err != nil {
		return err
	}
	for _, p := range r.paths() {
		if err := os.Rename(filepath.Join(work, path.Base(p)), filepath.Join(dir, path.Base(p))); err != nil {
			return err
		}
	}
	say(w, "built in %.0f s", time.Since(start).Seconds())
	return nil
}

// paths are the packages to build: the module itself where no command is named.
func (r *release) paths() []string {
	if len(r.commands) == 0 {
		return []string{r.module}
	}
	var all []string
	for _, c := range r.commands {
		all = append(all, path.Join(r.module, c))
	}
	return all
}

func (r *release) built(dir string) bool {
	for _, p := range r.paths() {
		if _, err := os.Stat(filepath.Join(dir, path.Base(p))); err != nil {
			return false
		}
	}
	return true
}

// Project builds the guard and the plugins of this module into dir. The go command's
// own cache makes that fast.
func Project(w io.Writer, dir string) error {
	for _, b := range []struct{ in, what string }{
		{"../..", "./cmd/nri-guard"},
		{".", "./plugins/..."},
		{"plugins/ulimit-adjuster", "github.com/containerd/nri/plugins/ulimit-adjuster"},
	} {
		if err := run(w, b.in, []string{"CGO_ENABLED=0"}, "go", "build", "-o", dir+"/", b.what); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command with its output as progress, and says which one failed.
func run(w io.Writer, dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// say reports progress; nothing depends on its being read.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
