package nri

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// socket is where plugins connect. NRI is told to listen under a hidden name; the
// socket is renamed when NRI has started. So there is no moment without a socket
// when a new run of NRI takes over, and when the old one removes what it made,
// under the name by which it knows it, the new one's stays.
type socket struct {
	path   string
	hidden string
	// file is what was published, nil before.
	file fs.FileInfo
}

func newSocket(path string) *socket {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "." + hex.EncodeToString(b[:])[:7]
	return &socket{path: path, hidden: filepath.Join(filepath.Dir(path), name)}
}

// maxPath is how long the path of a socket can be, unix(7).
const maxPath = 107

// check finds out whether NRI will be able to listen, and makes the directory.
func (s *socket) check() error {
	if longest := max(len(s.path), len(s.hidden)); longest > maxPath {
		return fmt.Errorf("NRI socket %s: the path is %d bytes too long", s.path, longest-maxPath)
	}
	if info, err := os.Lstat(s.path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("NRI socket %s: there is something else than a socket; move it away", s.path)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	l, err := net.Listen("unix", s.hidden)
	if err != nil {
		return fmt.Errorf("NRI socket %s: %w", s.path, err)
	}
	return l.Close()
}

// publish puts the socket in its place.
func (s *socket) publish() error {
	file, err := os.Lstat(s.hidden)
	if err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	if err := os.Rename(s.hidden, s.path); err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	s.file = file
	return nil
}

// withdraw removes the socket, unless another one has taken its place.
func (s *socket) withdraw() error {
	if s.file == nil {
		return nil
	}
	now, err := os.Lstat(s.path)
	if err != nil || !os.SameFile(now, s.file) {
		return nil
	}
	return os.Remove(s.path)
}
