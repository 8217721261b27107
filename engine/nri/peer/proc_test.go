package peer

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStartTime: a process may have any name.
func TestStartTime(t *testing.T) {
	const rest = " S 1 2 3 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4711 1000 200 18446744073709551615"
	for name, c := range map[string]struct {
		line string
		want uint64
		err  string
	}{
		"plain":                    {line: "12 (sh)" + rest, want: 4711},
		"blanks":                   {line: "12 (a b c)" + rest, want: 4711},
		"parentheses":              {line: "12 (a) S 1 (b))" + rest, want: 4711},
		"the whole line as a name": {line: "12 (x) R 1 2 3 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 99 1)" + rest, want: 4711},
		"line ends":                {line: "12 (a\nb)" + rest + "\n", want: 4711},
		"no name":                  {line: "12 sh" + rest, err: "too few fields"},
		"short":                    {line: "12 (sh) S 1 2 3", err: "too few fields"},
		"empty":                    {line: "", err: "too few fields"},
		"no number":                {line: strings.Replace("12 (sh)"+rest, "4711", "x", 1), err: "invalid syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStartTime([]byte(c.line))
			if c.err != "" {
				mustSay(t, err, "/proc/PID/stat cannot be read", c.err)
			} else if err != nil || got != c.want {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
}

// TestEffective reads /proc/PID/status.
func TestEffective(t *testing.T) {
	const status = "Name:\tUid:\nUmask:\t0022\nUid:\t1000\t0\t7\t8\nGid:\t1001\t12\t7\t8\n"
	if uid, err := effective(status, "Uid:"); uid != 0 || err != nil {
		t.Errorf("%d, %v", uid, err)
	}
	if gid, err := effective(status, "Gid:"); gid != 12 || err != nil {
		t.Errorf("%d, %v", gid, err)
	}
	_, err := effective("Name: x\n", "Uid:")
	mustSay(t, err, "no line Uid:")
}

// TestProcDir: what has been opened is of one process, and of none when it is gone.
func TestProcDir(t *testing.T) {
	child := start(t, self(t))
	d, err := openProc(child.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close() //nolint:errcheck // nothing was written
	if _, err := d.startTime(); err != nil {
		t.Error(err)
	}
	if _, err := d.readlink("nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := d.read("nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	child.kill()
	if _, err := d.startTime(); !errors.Is(err, unix.ESRCH) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := openProc(child.cmd.Process.Pid); !errors.Is(err, ErrExited) {
		t.Error(err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	if _, err := d.readlink("exe"); err == nil {
		t.Error("a closed directory is read")
	}
}
