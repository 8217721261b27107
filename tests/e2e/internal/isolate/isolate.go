// Package isolate runs a test binary where it can leave nothing behind: in mount
// and process namespaces of its own.
//
// Container runtimes leave much when a test fails: shims, containers, mounts. In
// here all of it ends with the test, because the kernel kills what is left in a
// process namespace whose first process ends, and takes its mounts down. /run is
// the tests' own too, and so is what they write to /etc and its like, so that
// well-known places can be used as on a node, and a runtime of the machine is not
// in the way.
package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program that isolates itself runs three times: outside, as the first process of
// the namespaces, and inside, where the tests are. The environment says which it is.
const (
	firstKey  = "NRI_GUARD_E2E_FIRST"
	insideKey = "NRI_GUARD_E2E_INSIDE"
)

// First says whether this is the first process of the namespaces, which has to call
// [Init].
func First() bool { return os.Getenv(firstKey) != "" }

// Dir is the directory to work in, inside; elsewhere "".
func Dir() string { return os.Getenv(insideKey) }

// Run runs this program once more, with the same arguments, isolated and with dir
// to work in, and returns its exit code. CgroupParent is removed afterwards from
// every hierarchy of control groups. It needs root.
func Run(dir, cgroupParent string) (int, error) {
	// A parent's death is noticed by thread, not by process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := again(firstKey + "=" + dir)
	if err != nil {
		return 0, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("isolating the tests: %w", err)
	}
	go func() {
		<-stop
		_ = cmd.Process.Kill()
	}()
	err = cmd.Wait()
	removeCgroups(cgroupParent)
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// Init finishes the isolation, with a /proc of its own processes, a /run that is
// empty and a few other directories that are the machine's to read only, runs this program inside, and collects orphans until that one has ended. It
// returns its exit code.
func Init() (int, error) {
	if err := mounts(); err != nil {
		return 0, err
	}
	cmd, err := again(insideKey + "=" + os.Getenv(firstKey))
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("waiting for the tests: %w", err)
		case pid == cmd.Process.Pid && status.Signaled():
			return 0, fmt.Errorf("the tests were ended by %v", status.Signal())
		case pid == cmd.Process.Pid:
			return status.ExitStatus(), nil
		}
	}
}

// own are directories of the machine in which files can be written that only the
// tests see.
var own = []string{"/etc", "/opt", "/srv", "/var/lib", "/var/log"}

func mounts() error {
	for _, m := range []struct{ kind, target string }{{"proc", "/proc"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.kind, m.target, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	for _, dir := range own {
		upper, scratch := "/run/own"+dir, "/run/scratch"+dir
		if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(scratch, 0o700)); err != nil {
			return err
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, scratch)
		if err := unix.Mount("overlay", dir, "overlay", 0, options); err != nil {
			return fmt.Errorf("mounting an overlay on %s: %w", dir, err)
		}
	}
	return nil
}

// again is this program with the same arguments and one more variable.
func again(variable string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, firstKey+"=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, variable)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd, nil
}

// removeCgroups removes what killed containers leave. A group that is not empty
// yet stays, which does no harm.
func removeCgroups(parent string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		roots, _ := filepath.Glob(filepath.Join(hierarchy, parent))
		for _, root := range roots {
			removeDirs(root)
		}
	}
}

// removeDirs removes directories alone, the deepest first, as control groups want it.
func removeDirs(root string) {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = syscall.Rmdir(dirs[i])
	}
}
