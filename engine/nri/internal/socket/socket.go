// Package socket puts unix sockets in their place: a socket comes into being under
// a hidden name and is renamed when everything is ready, so that nobody finds a
// place without a socket, or one with the wrong permissions, and so that whoever
// made an earlier one does not remove it by its name.
package socket

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// maxPath is how long the path of a socket can be, in bytes (unix(7)).
const maxPath = 107

// Place is where a socket is to be. It is for one goroutine at a time.
type Place struct {
	// Path is where it is found.
	Path string
	// Hidden is the name in the same directory under which it is made.
	Hidden string
	// file is what was published, nil before.
	file fs.FileInfo
}

// New returns the place with the given path.
func New(path string) *Place {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "." + hex.EncodeToString(b[:])[:7]
	return &Place{Path: path, Hidden: filepath.Join(filepath.Dir(path), name)}
}

// Check finds out whether one will be able to listen there, and makes the
// directory, for its owner alone.
func (p *Place) Check() error {
	if longest := max(len(p.Path), len(p.Hidden)); longest > maxPath {
		return fmt.Errorf("NRI socket %s: the path is %d bytes too long", p.Path, longest-maxPath)
	}
	if info, err := os.Lstat(p.Path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("NRI socket %s: there is something else than a socket; move it away", p.Path)
	}
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o700); err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	l, err := net.Listen("unix", p.Hidden)
	if err != nil {
		return fmt.Errorf("NRI socket %s: %w", p.Path, err)
	}
	return l.Close()
}

// Publish moves the socket from its hidden name to its path. What is there is
// replaced.
func (p *Place) Publish() error {
	file, err := os.Lstat(p.Hidden)
	if err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	if err := os.Rename(p.Hidden, p.Path); err != nil {
		return fmt.Errorf("NRI socket: %w", err)
	}
	p.file = file
	return nil
}

// Mine says whether what was published is still in its place.
func (p *Place) Mine() bool {
	if p.file == nil {
		return false
	}
	now, err := os.Lstat(p.Path)
	return err == nil && os.SameFile(now, p.file)
}

// Changed says what of what was published is not as it was, mode and owner; "" is
// nothing. It is for sockets that are in their place still.
func (p *Place) Changed() string {
	now, err := os.Lstat(p.Path)
	if p.file == nil || err != nil || !os.SameFile(now, p.file) {
		return ""
	}
	was, is := describe(p.file), describe(now)
	if was == is {
		return ""
	}
	return fmt.Sprintf("%s, and was %s", is, was)
}

// describe says who may connect.
func describe(file fs.FileInfo) string {
	text := fmt.Sprintf("mode %04o", file.Mode().Perm())
	if s, ok := file.Sys().(*syscall.Stat_t); ok {
		text += fmt.Sprintf(", owner %d:%d", s.Uid, s.Gid)
	}
	return text
}

// Withdraw removes the socket, unless another one has taken its place.
func (p *Place) Withdraw() error {
	if !p.Mine() {
		return nil
	}
	return os.Remove(p.Path)
}
