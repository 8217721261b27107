package wasm_test

import (
	"context"
	"os"
	"os/exec"
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
