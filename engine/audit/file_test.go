package audit_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
)

// allow is a set of policies without objections.
type allow struct{}

func (allow) Judge(context.Context, *engine.Review) engine.Verdict { return engine.Verdict{} }
func (allow) Revision() string                                     { return "r" }

func record(t *testing.T, log *audit.Log, id string) error {
	t.Helper()
	return log.Record(t.Context(), &engine.Review{}, &engine.Decision{ID: id})
}

func mustRecord(t *testing.T, log *audit.Log, id string) {
	t.Helper()
	if err := record(t, log, id); err != nil {
		t.Fatal(err)
	}
}

func newLog(t *testing.T, c audit.Config) *audit.Log {
	t.Helper()
	log, err := audit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// ids replaces each line of the log by its decision's id.
func ids(t *testing.T, path string) []string {
	lines := readLines(t, path)
	for i, line := range lines {
		if _, after, ok := strings.Cut(line, `"decision_id":"`); ok {
			lines[i], _, _ = strings.Cut(after, `"`)
		}
	}
	return lines
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		config audit.Config
		want   string
	}{
		{audit.Config{}, `decision log: path "" names no file`},
		{audit.Config{Path: "-"}, `decision log: path "-" names no file`},
		{audit.Config{Path: "relative"}, `decision log: path: "relative" must be absolute`},
		{audit.Config{Path: dir}, "decision log: " + dir + " is no regular file"},
		{audit.Config{Path: link}, "decision log: " + link + " is no regular file"},
		{audit.Config{Path: "/dev/null"}, "decision log: /dev/null is no regular file"},
		{audit.Config{Path: file + "/below"}, "decision log: mkdir " + file + ": not a directory"},
		{audit.Config{Path: file, MaxSize: -1}, "decision log: maxSize: -1 must not be negative"},
		{audit.Config{Path: file, MaxAge: -1}, "decision log: maxAge: -1 must not be negative"},
		{audit.Config{Path: file, Unmask: []string{"A", "["}}, `decision log: unmask[1]: pattern "[": syntax error in pattern`},
	}
	for _, tt := range tests {
		if _, err := audit.New(tt.config); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.config, err, tt.want)
		}
	}
}

func TestDirectoryWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.New(audit.Config{Path: filepath.Join(dir, "log")}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestFileIsContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, id := range []string{"a", "b"} {
		log := newLog(t, audit.Config{Path: path})
		mustRecord(t, log, id)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
}

// TestTornLine: a process that died in the middle of a line costs that line only.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("whole\n{\"half"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := newLog(t, audit.Config{Path: path})
	mustRecord(t, log, "a")
	mustRecord(t, log, "b")
	if diff := cmp.Diff([]string{"whole", `{"half`, "a", "b"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
}

// TestMovedAside: an external logrotate, and a file that somebody removed.
func TestMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log := newLog(t, audit.Config{Path: path})
	mustRecord(t, log, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, log, "b")
	mustRecord(t, log, "c")
	if diff := cmp.Diff([]string{"b", "c"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, log, "d")
	if diff := cmp.Diff([]string{"d"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, log, "e")
	if diff := cmp.Diff([]string{"other", "e"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "log")
	log := newLog(t, audit.Config{Path: path})
	mustRecord(t, log, "a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	want := "decision log: stat " + dir + ": no such file or directory"
	if err := record(t, log, "b"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, log, "c")
	if diff := cmp.Diff([]string{"c"}, ids(t, path)); diff != "" {
		t.Error(diff)
	}
}

// TestReplacedByDirectory: nothing is written to, and nothing renamed, that has been
// put in the file's place.
func TestReplacedByDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log := newLog(t, audit.Config{Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	want := "decision log: " + path + " is no regular file"
	if err := record(t, log, "a"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	log := newLog(t, audit.Config{Path: path, MaxSize: 1, MaxBackups: -1})
	pad := strings.Repeat("x", 300_000)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		mustRecord(t, log, id+pad)
	}
	files, err := filepath.Glob(filepath.Join(dir, "log*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Fatalf("files: %v", files)
	}
	var all []string
	for i := len(files) - 1; i >= 0; i-- { // the old one has a longer name
		all = append(all, ids(t, files[i])...)
	}
	for i, id := range all {
		all[i] = strings.TrimRight(id, "x")
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, all); diff != "" {
		t.Error(diff)
	}
	// A line that fits in no file is an error rather than a line lost.
	if err := record(t, log, strings.Repeat(pad, 5)); err == nil || !strings.Contains(err.Error(), "exceeds maximum file size") {
		t.Errorf("got %v", err)
	}
}

// fill takes as many bytes as there is room for.
type fill struct {
	text []byte
	room int
}

func (f *fill) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	f.text = append(f.text, p[:n]...)
	f.room -= n
	if n < len(p) {
		return n, errors.New("full")
	}
	return n, nil
}

// TestPartialWrite: what a full disk cut off does not run into the next line.
func TestPartialWrite(t *testing.T) {
	out := &fill{room: 10}
	log, err := audit.NewWriter(out, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := record(t, log, "a"); err == nil || err.Error() != "decision log: full" {
			t.Errorf("got %v", err)
		}
	}
	out.room = 1 // enough to end the torn line
	if err := record(t, log, "b"); err == nil {
		t.Error("recorded without room")
	}
	out.room = 1 << 20
	mustRecord(t, log, "c")
	lines := strings.Split(string(out.text), "\n")
	if len(lines) != 3 || len(lines[0]) != 10 || !strings.HasPrefix(lines[1], "{") || !strings.HasSuffix(lines[1], "}") {
		t.Errorf("%q", lines)
	}
}
