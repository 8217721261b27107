package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine"
)

// stat is what tells one state of a file from another. Times can be set back by
// root alone: whoever sets a file's mtime changes its ctime.
type stat struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func fstat(f *os.File) (stat, error) {
	var st unix.Stat_t
	if err := control(f, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return stat{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return stat{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}, nil
}

// settled is how long a file must have been left alone for its digest to be
// remembered: a change that follows within the grain of the file system's clock
// does not show in its times.
const settled = 3 * time.Second

// settled says whether whoever changes the file from now on cannot hide it.
func (s stat) settled() bool { return time.Since(time.Unix(s.ctime.Unix())) >= settled }

// maxDigests is how many digests are remembered.
const maxDigests = 256

// digests remembers what files have been hashed to, by their state. Files that
// many ask for at a time are hashed once, and one file at a time: hashing must not
// keep the guard from its work. The zero value works.
type digests struct {
	turns   turns
	mu      sync.Mutex
	entries map[stat]*digest
	order   []stat // oldest first
}

type digest struct {
	done chan struct{} // closed when the others are set
	sum  string
	err  error
}

// of returns the digest of a file that is in the given state, in lower-case
// hexadecimal, for a process. It closes the file.
func (d *digests) of(ctx context.Context, f *os.File, st stat, who engine.Identity) (string, error) {
	if !st.settled() {
		return d.hash(ctx, f, st, who)
	}
	e, mine := d.entry(st)
	if mine {
		// Others may come to wait for it who have more time than the first.
		go func() {
			defer close(e.done)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			if e.sum, e.err = d.hash(ctx, f, st, who); e.err != nil {
				d.forget(st, e)
			}
		}()
	} else {
		_ = f.Close()
	}
	select {
	case <-e.done:
		return e.sum, e.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// entry returns the digest of a state, and whether it is for the caller to find.
func (d *digests) entry(st stat) (e *digest, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[st]; e != nil {
		return e, false
	}
	if d.entries == nil {
		d.entries = map[stat]*digest{}
	}
	if len(d.order) == maxDigests {
		delete(d.entries, d.order[0])
		d.order = d.order[1:]
	}
	e = &digest{done: make(chan struct{})}
	d.entries[st] = e
	d.order = append(d.order, st)
	return e, true
}

func (d *digests) forget(st stat, e *digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[st] != e {
		return
	}
	delete(d.entries, st)
	for i, o := range d.order {
		if o == st {
			d.order = append(d.order[:i], d.order[i+1:]...)
			return
		}
	}
}

// errChanging says that a file was written to while it was hashed. The kernel
// lets nobody write to a file that runs; a network's file system may.
var errChanging = errors.New("the executable was changed while it was read")

// hash reads a file when it is the process' turn. It must be in the same state before
// and after. It closes the file.
func (d *digests) hash(ctx context.Context, f *os.File, st stat, who engine.Identity) (string, error) {
	defer f.Close() //nolint:errcheck // it is only read
	if err := d.turns.wait(ctx, who.UID, who.PID); err != nil {
		return "", err
	}
	done := sync.OnceFunc(d.turns.done)
	defer done()
	defer time.AfterFunc(DefaultTimeout, done).Stop() // the file system may never answer
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(&untilDone{ctx, f}, st.size+1))
	if err != nil {
		return "", err
	}
	after, err := fstat(f)
	if err != nil {
		return "", err
	}
	if n != st.size || after != st {
		return "", errChanging
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// untilDone reads until the context ends. Whoever else has something to do comes
// first, piece by piece.
type untilDone struct {
	ctx  context.Context
	file io.Reader
}

func (u *untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	runtime.Gosched()
	return u.file.Read(b)
}
