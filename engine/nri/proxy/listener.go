package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/log"
	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine/nri/internal/socket"
)

// listener is the socket that plugins connect to.
type listener struct {
	net   *net.UnixListener
	place *socket.Place
}

// listen makes the socket and puts it in its place.
func (p *Proxy) listen(ctx context.Context) (*listener, error) {
	place := socket.New(p.cfg.Socket.Path)
	if err := p.cfg.Socket.makeDir(); err != nil {
		return nil, err
	}
	if err := place.Check(); err != nil {
		return nil, err
	}
	if err := p.vacant(ctx); err != nil {
		return nil, err
	}
	l := &listener{place: place}
	if err := l.open(ctx, p.cfg.Socket); err != nil {
		if l.net != nil {
			_ = l.net.Close()
			_ = os.Remove(place.Hidden)
		}
		return nil, fmt.Errorf("NRI socket %s: %w", place.Path, err)
	}
	p.mu.Lock()
	p.listening = true
	p.mu.Unlock()
	return l, nil
}

// makeDir makes the directory of a socket that is for others too: they have to get
// through it, and the socket's own mode says who may connect.
func (s Socket) makeDir() error {
	dir := filepath.Dir(s.Path)
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) || s.UID == 0 && s.GID == 0 && s.Mode&0o077 == 0 {
		return nil // what else is wrong with it is found when the socket is made
	}
	const mode = 0o755
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask
		return fmt.Errorf("NRI socket: %w", err)
	}
	return nil
}

// vacant returns an error if somebody listens on the socket already, or could put
// another one in its place at any time.
func (p *Proxy) vacant(ctx context.Context) error {
	path := p.cfg.Socket.Path
	dir, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	if dir.Mode()&0o002 != 0 && dir.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("NRI socket %s: everybody may write to the directory and so replace the socket; take that permission away (chmod o-w %s)", path, filepath.Dir(path))
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return fmt.Errorf("NRI socket %s: finding out whether somebody listens there: %w", path, err)
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	who := "somebody"
	if unixConn, ok := conn.(*net.UnixConn); ok {
		if other, err := p.inspector.Of(ctx, unixConn); err == nil {
			id := other.Identity()
			who = describe(&id)
			_ = other.Close()
		}
	}
	return fmt.Errorf("NRI socket %s: %s listens there; stop it, or if it is the runtime move its NRI socket (socket_path) elsewhere", path, who)
}

// open listens under the hidden name. The socket is for its owner alone until it
// is as it should be: on Linux a socket's file is born with the mode that the
// descriptor has when it is bound.
func (l *listener) open(ctx context.Context, s Socket) error {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }), err)
	}}
	open, err := lc.Listen(ctx, "unix", l.place.Hidden)
	if err != nil {
		return err
	}
	l.net = open.(*net.UnixListener)
	l.net.SetUnlinkOnClose(false)
	// What belongs to somebody else cannot be changed any more without CAP_FOWNER.
	if err := os.Chmod(l.place.Hidden, s.Mode); err != nil {
		return err
	}
	if s.UID != 0 || s.GID != 0 {
		if err := os.Chown(l.place.Hidden, unchanged(s.UID), unchanged(s.GID)); err != nil {
			return err
		}
	}
	return l.place.Publish()
}

// unchanged is what chown takes for an id that is to stay.
func unchanged(id int) int {
	if id == 0 {
		return -1
	}
	return id
}

// accept returns the next connection.
func (l *listener) accept() (*net.UnixConn, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := l.net.AcceptUnix()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		time.Sleep(pause) // out of descriptors, most likely
	}
}

// watchInterval is how soon it is noticed what others do to the socket.
const watchInterval = time.Second

// watch looks after the socket's place until ctx ends.
func (p *Proxy) watch(ctx context.Context, l *listener) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.look(ctx)
		if so, problem := l.problem(); p.problem("socket", problem) && problem != "" {
			log.G(ctx).Errorf("%s: %s", so, problem)
		}
	}
}

// problem says what others have done to the socket, "" if nothing, and what comes of
// that. It is not set back: whoever did it can do it again, and may have connected
// meanwhile.
func (l *listener) problem() (so, problem string) {
	if !l.place.Mine() {
		return "Plugins may go past the guard", fmt.Sprintf("the NRI socket %s is not the proxy's any more: somebody has removed or replaced it; find out who, and restart", l.place.Path)
	}
	if changed := l.place.Changed(); changed != "" {
		return "Others may connect", fmt.Sprintf("the NRI socket %s is not for those any more whom it was made for: it has %s; find out who did that, and set it back or restart (proxy.mode, proxy.uid and proxy.gid say whom it is for)", l.place.Path, changed)
	}
	return "", ""
}

// look finds out whether a runtime is back that did not answer.
func (p *Proxy) look(ctx context.Context) {
	p.mu.Lock()
	_, away := p.problems["runtime"]
	p.mu.Unlock()
	if !away {
		return
	}
	if conn, err := p.dial(ctx); err == nil {
		_ = conn.Close()
	}
}

// withdraw stops accepting.
func (p *Proxy) withdraw(ctx context.Context, l *listener) {
	p.mu.Lock()
	p.listening = false
	p.mu.Unlock()
	if err := l.place.Withdraw(); err != nil {
		log.G(ctx).WithError(err).Warn("The NRI socket is left behind")
	}
	_ = l.net.Close()
}
