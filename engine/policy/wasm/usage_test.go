package wasm_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// usage is what a run of the program took, and how it ended.
type usage struct {
	Time   time.Duration // of processors
	Memory int64         // MiB, at most
	Code   int
	output string
}

// reportTo is the variable that says where [TestMain] is to write the usage.
const reportTo = "NRI_GUARD_TEST_USAGE"

// TestMain runs a program instead of the tests where it is told to. A process counts the
// memory of the one that started it as its own, for that is what it is until it becomes
// another program: so this one, which may have grown, has a fresh copy of itself start
// what is measured.
func TestMain(m *testing.M) {
	if path := os.Getenv(reportTo); path != "" {
		os.Exit(report(path, exec.Command(os.Args[1], os.Args[2:]...)))
	}
	os.Exit(m.Run())
}

// report runs a command, writes its usage to a file and returns its exit code.
func report(path string, cmd *exec.Cmd) int {
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		panic(err)
	}
	state := cmd.ProcessState
	text, err := json.Marshal(usage{
		Time:   state.UserTime() + state.SystemTime(),
		Memory: state.SysUsage().(*syscall.Rusage).Maxrss >> 10,
		Code:   state.ExitCode(),
	})
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		panic(err)
	}
	return state.ExitCode()
}

// built is the program.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nri-guard")
	if out, err := exec.Command("go", "build", "-o", program, "../../../cmd/nri-guard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// run runs a program and measures it.
func run(t *testing.T, command ...string) usage {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "usage")
	cmd := exec.Command(self, command...)
	cmd.Env = append(os.Environ(), reportTo+"="+path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	u := usage{output: string(out)}
	if err := json.Unmarshal(text, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// ask asks the module in a file about the reference request.
func ask(t *testing.T, program, module string) usage {
	t.Helper()
	return run(t, program, "eval", "--profile", "privileged", "--wasm", "own="+module, "../../../cmd/nri-guard/reference.json")
}

// within asks a few times at most, until that has taken no longer than it may: what else
// the machine does only adds.
func within(t *testing.T, program, module string, limit time.Duration) usage {
	t.Helper()
	u := ask(t, program, module)
	for i := 1; i < 5 && u.Time > limit && !raced; i++ {
		u = ask(t, program, module)
	}
	return u
}

// The memory of what starts a program is not counted.
func TestUsageIsTheProgramsOwn(t *testing.T) {
	held := make([]byte, 400<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	if u := run(t, "go", "version"); u.Code != 0 || u.Time == 0 || (u.Memory > 200 || u.Memory == 0) && !raced {
		t.Errorf("%v of processor time, %d MiB, exit code %d\n%s", u.Time, u.Memory, u.Code, u.output)
	}
	held[0] = 0
}
