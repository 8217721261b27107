package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/watch"
)

// long is how long something may take that does happen.
const long = 30 * time.Second

// TestRun changes files in the ways in which files are changed.
func TestRun(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"a file is written to": func(t *testing.T, dir string) { write(t, "2", dir, "config.yaml") },
		"a file is renamed into place": func(t *testing.T, dir string) {
			write(t, "1", dir, "config.yaml.new")
			rename(t, dir, "config.yaml.new", "config.yaml")
		},
		"a file is removed":               func(t *testing.T, dir string) { remove(t, dir, "config.yaml") },
		"a file may be written by others": func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "config.yaml"), 0o606)) },
		"a file comes":                    func(t *testing.T, dir string) { write(t, "1", dir, "policies/b.rego") },
		"a file goes":                     func(t *testing.T, dir string) { remove(t, dir, "policies/a.rego") },
		"a file comes to a new directory": func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "policies/new"), 0o755))
			write(t, "1", dir, "policies/new/c.rego")
		},
		"a directory is exchanged": func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "next"), 0o755))
			write(t, "1", dir, "next/a.rego")
			rename(t, dir, "policies", "before")
			rename(t, dir, "next", "policies")
		},
		"a ConfigMap is changed": func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "map/..2"), 0o755))
			write(t, "1", dir, "map/..2/d.rego")
			must(t, os.Symlink("..2", filepath.Join(dir, "map/..data_tmp")))
			rename(t, dir, "map/..data_tmp", "map/..data")
			must(t, os.RemoveAll(filepath.Join(dir, "map/..1")))
		},
		"what a link leads to is changed": func(t *testing.T, dir string) { write(t, "2", dir, "elsewhere/e.rego") },
		"what was missing comes": func(t *testing.T, dir string) {
			must(t, os.MkdirAll(filepath.Join(dir, "missing/below"), 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t)
			w := start(t)
			w.set(dir)
			change(t, dir)
			w.mustChange()
			w.set(dir)
			write(t, "3", dir, "config.yaml") // and it is still watched
			w.mustChange()
		})
	}
}

// TestChangedSince: what changed between reading and watching is noticed.
func TestChangedSince(t *testing.T) {
	dir := tree(t)
	s := stamp(dir)
	write(t, "2", dir, "config.yaml")
	w := start(t)
	w.Set(s)
	w.mustChange()
}

// TestNothingChanged: what happens beside the files is not told, and neither is that
// other files are watched.
func TestNothingChanged(t *testing.T) {
	dir := tree(t)
	w := start(t)
	w.set(dir)
	write(t, "1", dir, "beside")
	write(t, "1", dir, "elsewhere/beside")
	write(t, "1", dir, "map/beside") // the link that is watched is map/d.rego alone
	other := &watch.Stamp{}
	other.Add(filepath.Join(dir, "policies"))
	w.Set(other)
	time.Sleep(500 * time.Millisecond) // if nothing is told, which is right, nothing can be waited for
	select {
	case <-w.changed:
		t.Error("told of a change that there was none")
	default:
	}
	write(t, "2", dir, "policies/a.rego")
	w.mustChange()
}

// TestAlwaysSomething: a directory in which something happens all the time does not
// keep changes from being seen.
func TestAlwaysSomething(t *testing.T) {
	dir := tree(t)
	w := start(t)
	w.set(dir)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = os.WriteFile(filepath.Join(dir, "beside"), nil, 0o600)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	write(t, "2", dir, "config.yaml")
	w.mustChange()
	cancel()
	<-done
}

type watcher struct {
	*watch.Watcher
	t       *testing.T
	changed chan struct{}
}

func start(t *testing.T) *watcher {
	t.Helper()
	w, err := watch.New()
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	changed := make(chan struct{}, 100)
	go func() {
		defer close(done)
		w.Run(ctx, func() { changed <- struct{}{} }, func(err error) { t.Error(err) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return &watcher{Watcher: w, t: t, changed: changed}
}

// set returns when the files are watched, most likely: then it is an event that tells
// of the next change. On a machine so slow that they are not, it is the stamp, and
// the tests hold all the same.
func (w *watcher) set(dir string) {
	w.Set(stamp(dir))
	time.Sleep(50 * time.Millisecond)
}

func (w *watcher) mustChange() {
	w.t.Helper()
	select {
	case <-w.changed:
	case <-time.After(long):
		w.t.Fatal("the change went unnoticed")
	}
}

func stamp(dir string) *watch.Stamp {
	s := &watch.Stamp{}
	for _, p := range []string{"config.yaml", "policies", "map/d.rego", "missing/below"} {
		s.Add(filepath.Join(dir, p))
	}
	return s
}

// tree makes what is watched: a file, a directory with a link that leads out of it,
// and a ConfigMap as the kubelet lays it out.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"policies", "elsewhere", "map/..1"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for _, f := range []string{"config.yaml", "policies/a.rego", "elsewhere/e.rego", "map/..1/d.rego"} {
		write(t, "1", dir, f)
	}
	for link, target := range map[string]string{"policies/e.rego": "../elsewhere/e.rego", "map/..data": "..1", "map/d.rego": "..data/d.rego"} {
		must(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	return dir
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(path...), []byte(text), 0o644))
}

func rename(t *testing.T, dir, from, to string) {
	t.Helper()
	must(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
}

func remove(t *testing.T, path ...string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(path...)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
