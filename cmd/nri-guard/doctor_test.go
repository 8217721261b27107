package main

import (
	"bytes"
	"encoding/json"

	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nri-guard/nri-guard/engine/policy"
)

var update = flag.Bool("update", false, "rewrite what the cases in testdata/doctor want")

// TestDoctor looks at the nodes in testdata/doctor, a file each: the files below the
// node's root, in the comment what a file cannot say, and what doctor says.
func TestDoctor(t *testing.T) {
	files, err := filepath.Glob("testdata/doctor/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n := &fakeNode{T: t, root: filepath.Join(t.TempDir(), "n")}
			n.mkdir("")
			for _, f := range archive.Files {
				if f.Name != "want" {
					n.write(f.Name, string(f.Data))
				}
			}
			n.prepare(string(archive.Comment))
			got := n.doctor()
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			if diff := cmp.Diff(wanted(archive), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func wanted(archive *txtar.Archive) string {
	for _, f := range archive.Files {
		if f.Name == "want" {
			return string(f.Data)
		}
	}
	return ""
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, want string) {
	t.Helper()
	var files []txtar.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fakeNode is a node's file system in a directory.
type fakeNode struct {
	*testing.T
	root string
}

// doctor runs the program and returns its exit code and what it prints.
func (n *fakeNode) doctor(args ...string) string {
	n.Helper()
	n.Setenv("COLUMNS", "1000") // where lines break depends on how long the root's name is
	var out, errs bytes.Buffer
	code := run(n.Context(), append([]string{"doctor", "--root", n.root}, args...), nil, &out, &errs)
	return fmt.Sprintf("exit %d\n%s", code, strings.ReplaceAll(out.String()+errs.String(), n.root, "ROOT"))
}

// prepare does what the lines of a comment say; see the cases of the switch. Lines that
// begin with # are for the reader. Words may be quoted as in Go.
func (n *fakeNode) prepare(comment string) {
	n.Helper()
	for line := range strings.SplitSeq(comment, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		for i, w := range words {
			if s, err := strconv.Unquote(w); err == nil {
				words[i] = s
			}
		}
		n.do(words[0], words[1:])
	}
}

func (n *fakeNode) do(verb string, args []string) {
	n.Helper()
	switch verb {
	case "mkdir": // mkdir PATH
		n.mkdir(args[0])
	case "mkfifo": // mkfifo PATH
		n.mkdir(filepath.Dir(args[0]))
		n.must(syscall.Mkfifo(n.on(args[0]), 0o600))
	case "write": // write PATH
		n.write(args[0], "")
	case "chmod": // chmod MODE PATH
		mode, err := strconv.ParseUint(args[0], 8, 32)
		n.must(err)
		n.must(os.Chmod(n.on(args[1]), os.FileMode(mode&0o777)|sticky(mode)))
	case "chown": // chown UID PATH
		if os.Geteuid() != 0 {
			n.Skip("giving a file away needs root")
		}
		uid, err := strconv.Atoi(args[0])
		n.must(err)
		n.must(os.Lchown(n.on(args[1]), uid, uid))
	case "link": // link TARGET PATH
		n.mkdir(filepath.Dir(args[1]))
		n.must(os.Symlink(args[0], n.on(args[1])))
	case "self": // self PATH: an executable that was built with NRI, this one
		n.self(args[0])
	case "process": // process PID EXE ARG...
		n.process(args[0], args[1], args[1:])
	case "began": // began PID SECONDS: after the boot, which was at the beginning of 2024
		n.write("proc/stat", "cpu 0\nbtime 1704067200\n")
		n.write(filepath.Join("proc", args[0], "stat"), args[0]+" (a ) b) S"+strings.Repeat(" 0", 18)+" "+args[1]+"00 0 0\n")
	case "changed": // changed SECONDS PATH: after the same boot
		seconds, err := strconv.ParseInt(args[0], 10, 64)
		n.must(err)
		at := time.Unix(1704067200+seconds, 0)
		n.must(os.Chtimes(n.on(args[1]), at, at))
	case "view": // view PID PATH: where the root of a process is
		n.must(os.Symlink(n.on(args[1]), n.on(filepath.Join("proc", args[0], "root"))))
	case "listen": // listen PID PATH
		n.listen(args[0], args[1])
	default:
		n.Fatalf("no such thing to prepare: %s", verb)
	}
}

func sticky(mode uint64) os.FileMode {
	if mode&0o1000 != 0 {
		return os.ModeSticky
	}
	return 0
}

func (n *fakeNode) process(pid, exe string, args []string) {
	dir := filepath.Join("proc", pid)
	n.write(filepath.Join(dir, "cmdline"), strings.Join(args, "\x00")+"\x00")
	n.must(os.Symlink(exe, n.on(filepath.Join(dir, "exe"))))
}

// listen adds a socket to the kernel's table and gives it to a process. Its inode is
// where in the table it stands.
func (n *fakeNode) listen(pid, path string) {
	table := n.on("proc/1/net/unix")
	text, err := os.ReadFile(table)
	if err != nil {
		text = []byte("Num       RefCount Protocol Flags    Type St Inode Path\n")
	}
	inode := 1000 + bytes.Count(text, []byte("\n"))
	line := fmt.Sprintf("0000000000000000: 00000002 00000000 00010000 0001 01 %d %s\n", inode, path)
	n.write("proc/1/net/unix", string(text)+line)
	fd := n.on(filepath.Join("proc", pid, "fd"))
	n.must(os.MkdirAll(fd, 0o755))
	n.must(os.Symlink(fmt.Sprintf("socket:[%d]", inode), filepath.Join(fd, strconv.Itoa(inode))))
}

func (n *fakeNode) self(path string) {
	exe, err := os.Executable()
	n.must(err)
	n.mkdir(filepath.Dir(path))
	if os.Link(exe, n.on(path)) == nil {
		return
	}
	data, err := os.ReadFile(exe)
	n.must(err)
	n.must(os.WriteFile(n.on(path), data, 0o755))
}

func (n *fakeNode) on(path string) string { return filepath.Join(n.root, path) }

func (n *fakeNode) mkdir(path string) {
	n.Helper()
	n.must(os.MkdirAll(n.on(path), 0o755))
	for p := filepath.Clean(path); p != "."; p = filepath.Dir(p) {
		n.must(os.Chmod(n.on(p), 0o755)) // whatever the umask
	}
}

func (n *fakeNode) write(path, text string) {
	n.Helper()
	n.mkdir(filepath.Dir(path))
	n.must(os.WriteFile(n.on(path), []byte(text), 0o644))
	n.must(os.Chmod(n.on(path), 0o644))
}

func (n *fakeNode) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// TestDoctorReady asks a guard at its admin address, where one runs.
func TestDoctorReady(t *testing.T) {
	revision := plainRevision(t)
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		running bool
		want    string
	}{
		"ready": {
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "ready\npolicies: 20, revision "+revision+", loaded 2024-02-29T12:00:00Z\n")
			}, true,
			"  guard: the guard is ready\n"},
		"degraded": {
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "degraded\nwarning: the last reload failed, what was loaded before is in force: proxy: cannot change\npolicies: 20, revision "+revision+", loaded 2024-02-29T12:00:00Z\n")
			}, true,
			"  guard: the guard could not take up its configuration as it is now [in-force]\n" +
				"    What is said here of the guard is read from /etc/nri-guard/config.yaml, which is not in force. What is in force may let anything through.\n" +
				"    seen: process 20 (/opt/bin/nri-guard) was told --config /etc/nri-guard/config.yaml\n" +
				"    seen: http://ADDRESS/readyz: 200 OK degraded warning: the last reload failed, what was loaded before is in force: proxy: cannot change policies: 20, revision " + revision + ", loaded 2024-02-29T12:00:00Z\n" +
				"    fix: Mend what it says, and restart it where it says so\n" +
				"        nri-guard check --config /etc/nri-guard/config.yaml && systemctl restart nri-guard\n"},
		"another revision": {
			func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "ready\npolicies: 20, revision 0123456789ab, loaded 2024-02-29T12:00:00Z\n")
			}, true,
			"  guard: the guard goes by revision 0123456789ab, and the file makes " + revision + " [in-force]\n"},
		"not a guard": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }, true,
			"  guard: the guard is not ready [guard-ready]\n"},
		"not ready": {
			func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "runtime:\nnot connected\x1b[2J", http.StatusServiceUnavailable)
			}, true,
			"  guard: the guard is not ready [guard-ready]\n    Plugins cannot connect; containers are created without what they would add.\n" +
				"    seen: process 20 (/opt/bin/nri-guard)\n    seen: http://ADDRESS/readyz: 503 Service Unavailable runtime: not connected\\x1b[2J\n"},
		"another program": {
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/readyz", http.StatusFound)
			}, true,
			"    seen: http://ADDRESS/readyz: stopped after 10 redirects\n"},
		"not running": {
			http.NotFound, false,
			"  guard: the guard is not running [guard-ready]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			address := server.Listener.Addr().String()
			n := &fakeNode{T: t, root: filepath.Join(t.TempDir(), "n")}
			n.write("etc/containerd/config.toml", "version = 3\nplugins.'io.containerd.nri.v1.nri'.socket_path = '/run/r/nri.sock'\n")
			n.write("etc/nri-guard/config.yaml", "version: 1\nruntime: {socket: /run/r/nri.sock}\nproxy: {enabled: true}\nadmin: {address: \""+address+"\"}\n")
			n.prepare("process 10 /opt/bin/containerd\n")
			if c.running {
				n.prepare("process 20 /opt/bin/nri-guard run --config /etc/nri-guard/config.yaml\n")
			}
			got := strings.ReplaceAll(n.doctor(), address, "ADDRESS")
			if !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwithout:\n%s", got, c.want)
			}
		})
	}
}

// plainRevision is the revision of a guard with the library and nothing besides.
func plainRevision(t *testing.T) string {
	t.Helper()
	set, err := policy.Load(t.Context(), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return set.Revision()
}

// TestDoctorJSON holds the shape that programs read.
func TestDoctorJSON(t *testing.T) {
	n := &fakeNode{T: t, root: filepath.Join(t.TempDir(), "n")}
	n.write("etc/docker/daemon.json", `{"nri-opts": {"enable": true, "socket-path": "/var/run/nri/nri.sock"}}`)
	out := n.doctor("--format", "json")
	code, text, _ := strings.Cut(out, "\n")
	if code != "exit 1" {
		t.Error(code)
	}
	var report struct {
		Findings []struct {
			Check, Severity, About, Summary string
			Evidence                        []string
			Fix                             *struct{ Do, File, Paste string }
		}
		Problems []string
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err, text)
	}
	for _, f := range report.Findings {
		if f.Check == "nri" && f.Severity == "fail-open" && f.About == "dockerd" && f.Fix.File == "/etc/docker/daemon.json" {
			if want := "/etc/docker/daemon.json:1: enable = true"; f.Evidence[0] != want {
				t.Errorf("evidence %q, want %q", f.Evidence[0], want)
			}
			return
		}
	}
	t.Errorf("no such finding: %s", text)
}

// TestDoctorConfig names the guard's configuration: it is read where it is, whatever the
// root is.
func TestDoctorConfig(t *testing.T) {
	n := &fakeNode{T: t, root: filepath.Join(t.TempDir(), "n")}
	n.write("etc/containerd/config.toml", "version = 3\n")
	elsewhere := filepath.Join(t.TempDir(), "guard.yaml")
	got := n.doctor("--config", elsewhere)
	if want := "exit 2\ncould not look: the guard's configuration cannot be read: open " + elsewhere + ": no such file or directory\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	n.must(os.WriteFile(elsewhere, []byte("version: 1\nvalidator: {enabled: true}\n"), 0o600))
	if got := n.doctor("--config", elsewhere); !strings.Contains(got, elsewhere+": audit.path is not set") {
		t.Errorf("got:\n%s", got)
	}
}

// TestDoctorSamples puts the sample configurations of deploy onto nodes: what they are
// for has to be closed.
func TestDoctorSamples(t *testing.T) {
	const deploy = "../../deploy/"
	runtimes := []struct{ sample, place string }{
		{"containerd/MODE.toml", "etc/containerd/config.toml"},
		{"crio/MODE.conf", "etc/crio/crio.conf.d/10-nri-guard.conf"},
		{"docker/MODE.json", "etc/docker/daemon.json"},
	}
	for _, mode := range []string{"validator", "proxy", "both"} {
		for _, r := range runtimes {
			sample := strings.Replace(r.sample, "MODE", mode, 1)
			if mode == "both" && strings.HasPrefix(sample, "docker") {
				sample = "docker/proxy.json" // there is no validator to require
			}
			t.Run(mode+"/"+filepath.Dir(sample), func(t *testing.T) {
				n := &fakeNode{T: t, root: filepath.Join(t.TempDir(), "n")}
				n.copy(deploy+sample, r.place)
				n.copy(deploy+"nri-guard/"+mode+".yaml", "etc/nri-guard/config.yaml")
				n.copy(deploy+"systemd/nri-guard.service", "usr/lib/systemd/system/nri-guard.service")
				n.prepare("link ../usr/lib/systemd/system/nri-guard.service etc/systemd/system/multi-user.target.wants/nri-guard.service\n" +
					"link ../run var/run\nmkdir run/nri\nmkdir run/nri-runtime\nchmod 0700 run/nri-runtime\n" +
					"self usr/bin/containerd\nself usr/bin/crio\nself usr/bin/dockerd\n")
				for _, other := range []string{"containerd", "crio", "dockerd"} {
					if !strings.HasPrefix(other, filepath.Dir(sample)) {
						n.must(os.Remove(n.on("usr/bin/" + other)))
					}
				}
				got := n.doctor()
				open := "0 fail open, 0 weak, 1 unknown" // what runs cannot be looked at
				switch {
				case mode == "validator" && strings.HasPrefix(sample, "docker"):
					open = "1 fail open, 0 weak, 1 unknown"
				case mode == "both" && strings.HasPrefix(sample, "docker"):
					open = "0 fail open, 1 weak, 1 unknown"
				}
				if !strings.Contains(got, open) {
					t.Errorf("not %s:\n%s", open, got)
				}
			})
		}
	}
}

func (n *fakeNode) copy(from, to string) {
	n.Helper()
	data, err := os.ReadFile(from)
	n.must(err)
	n.write(to, string(data))
}

// TestDeployedConfigurations reads the configurations of the DaemonSets, whose view of the
// node is not here.
func TestDeployedConfigurations(t *testing.T) {
	for _, name := range []string{"proxy", "both"} {
		text, err := os.ReadFile("../../deploy/kubernetes/" + name + "/config.yaml")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "config.yaml")
		here := strings.Replace(string(text), "hostRoot: /host", "hostRoot: /", 1)
		if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(file)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Proxy.Enabled || c.Validator.Enabled != (name == "both") {
			t.Errorf("%s: proxy %t, validator %t", name, c.Proxy.Enabled, c.Validator.Enabled)
		}
	}
}
