package wasm

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// read returns the module's bytes. It must be a regular file: a pipe would have us
// wait, a device has no end.
func read(c *Config) ([]byte, error) {
	f, err := os.OpenFile(c.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w; a file that holds a WebAssembly module is expected", err) // which names the file
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is a %s; a file that holds a WebAssembly module is expected", c.Path, kindOf(info.Mode()))
	}
	if info.Size() == 0 { // the kernel's own say so too, which may have no end
		return nil, fmt.Errorf("%s: is empty; a WebAssembly module is expected", c.Path)
	}
	most := c.Limits.ModuleBytes
	if most <= 0 {
		most = meter.DefaultLimits().ModuleBytes
	}
	module, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w; a file that holds a WebAssembly module is expected", err)
	case len(module) > most:
		return nil, fmt.Errorf("%s: has %d bytes, more than the %d that limits.moduleBytes allows", c.Path, info.Size(), most)
	}
	return module, c.pinned(module)
}

// pinned holds the module against the digest that it must have.
func (c *Config) pinned(module []byte) error {
	digest := fmt.Sprintf("%x", sha256.Sum256(module))
	if c.SHA256 != "" && c.SHA256 != digest {
		return fmt.Errorf("%s: has the sha256 %s, and %s is expected: it is not the file that was meant, or the digest in the configuration has to follow it", c.Path, digest, c.SHA256)
	}
	return nil
}

func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&os.ModeNamedPipe != 0:
		return "pipe"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
