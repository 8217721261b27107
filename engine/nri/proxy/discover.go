package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/containerd/nri/pkg/api"
)

// discover finds the plugins to start, by NRI's rules: every executable file is
// one. Those that cannot be started are in the error, and the others are returned
// nevertheless.
func (p *Proxy) discover() ([]*launched, error) {
	dir := p.cfg.Launch.Path
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		_, err = safe(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("directory of NRI plugins: %w", err)
	}
	var plugins []*launched
	var errs []error
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			continue
		}
		f, err := p.plugin(filepath.Join(dir, e.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("NRI plugin %s is not started: %w", filepath.Join(dir, e.Name()), err))
			continue
		}
		plugins = append(plugins, f)
	}
	return plugins, errors.Join(errs...)
}

// plugin checks an executable and finds its configuration.
func (p *Proxy) plugin(path string) (*launched, error) {
	index, name, err := api.ParsePluginName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if err := api.CheckPluginName(name); err != nil {
		return nil, err
	}
	program, err := safe(path)
	if err != nil {
		return nil, err
	}
	if err := notWasm(program); err != nil {
		return nil, err
	}
	f := &launched{path: path, program: program, name: name, index: index}
	if p.cfg.Launch.Config == "" {
		return f, nil
	}
	for _, base := range []string{index + "-" + name, name} {
		file, err := safe(filepath.Join(p.cfg.Launch.Config, base+".conf"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		config, err := os.ReadFile(file)
		f.config = string(config)
		return f, err
	}
	return f, nil
}

// notWasm returns an error for WebAssembly, which NRI runs inside of the runtime: a
// plugin without a connection of its own cannot be relayed.
func notWasm(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read from
	magic := make([]byte, 4)
	if _, err := io.ReadFull(file, magic); err == nil && bytes.Equal(magic, []byte("\x00asm")) {
		return errors.New("it is a WebAssembly plugin, which the runtime runs inside of itself and which cannot be relayed; build it as a program")
	}
	return nil
}

// safe returns the file that a path leads to, or an error if anybody but root and
// the guard's own user could replace it.
func safe(path string) (physical string, err error) {
	physical, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	for _, p := range []string{path, physical} {
		for {
			if err := owned(p); err != nil {
				return "", err
			}
			up := filepath.Dir(p)
			if up == p {
				break
			}
			p = up
		}
	}
	return physical, nil
}

// owned returns an error if others may write to a file or directory. In a directory
// with the sticky bit nobody replaces what is another's.
func owned(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: it cannot be found out who may write there", path)
	}
	if int(sys.Uid) != 0 && int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, who could replace it; it must be root's", path, sys.Uid)
	}
	others := info.Mode() & 0o022
	if sys.Gid == 0 {
		others &= 0o002
	}
	if others != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0) {
		return fmt.Errorf("others may write to %s (chmod go-w %s)", path, path)
	}
	return nil
}
