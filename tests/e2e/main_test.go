package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/image"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/isolate"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/tools"
)

// required, as the value of NRI_GUARD_E2E, makes a failure of what is else a skip.
const required = "required"

// What TestMain leaves in the directory that the tests work in.
const (
	binDir    = "bin"         // the guard and the plugins
	imageFile = "busybox.tar" // the image
	runtimes  = "runtimes"    // a link to the runtimes
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	switch {
	case isolate.First():
		return isolate.Init()
	case isolate.Dir() != "":
		return m.Run(), nil
	case os.Geteuid() != 0 && os.Getenv("NRI_GUARD_E2E") == required:
		return 0, fmt.Errorf("needs root, and NRI_GUARD_E2E is %s", required)
	case os.Geteuid() != 0:
		fmt.Println("SKIPPED: the end-to-end tests need root to run container runtimes")
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "nri-guard-e2e-")
	if err != nil {
		return 0, err
	}
	// The mounts below are gone with the namespaces that they were in.
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	if err := prepare(dir); err != nil {
		return 0, err
	}
	return isolate.Run(dir, cri.CgroupParent)
}

// prepare builds everything that the tests run.
func prepare(dir string) error {
	built, err := tools.Runtimes(os.Stdout)
	if err != nil {
		return err
	}
	if err := os.Symlink(built, filepath.Join(dir, runtimes)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, binDir), 0o755); err != nil {
		return err
	}
	if err := tools.Project(os.Stdout, filepath.Join(dir, binDir)); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, imageFile))
	if err != nil {
		return err
	}
	return errors.Join(image.Write(f, tools.Busybox), f.Close())
}

// work is a path in the directory that the tests work in.
func work(parts ...string) string {
	return filepath.Join(append([]string{isolate.Dir()}, parts...)...)
}
