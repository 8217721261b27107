package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/nri/trust"
)

// discover finds the plugins to start, by NRI's rules: every executable file is
// one, and the directory by default need not be there. Those that cannot be started are in the error, and the others are returned
// nevertheless.
func (p *Proxy) discover() ([]*launched, error) {
	dir := p.cfg.Launch.Path
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) && dir == adaptation.DefaultPluginPath {
		return nil, nil // it is there only where a plugin is
	}
	files := &trust.Checker{}
	if err == nil {
		err = files.Dir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("directory of NRI plugins: %w", err)
	}
	var plugins []*launched
	var errs []error
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		leadsNowhere := err != nil && e.Type()&fs.ModeSymlink != 0
		if !leadsNowhere && (err != nil || info.IsDir() || info.Mode()&0o111 == 0) {
			continue
		}
		f, err := p.plugin(files, filepath.Join(dir, e.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("NRI plugin %s is not started: %w", filepath.Join(dir, e.Name()), err))
			continue
		}
		plugins = append(plugins, f)
	}
	return plugins, errors.Join(errs...)
}

// plugin checks an executable and finds its configuration.
func (p *Proxy) plugin(files *trust.Checker, path string) (*launched, error) {
	index, name, err := api.ParsePluginName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if err := api.CheckPluginName(name); err != nil {
		return nil, err
	}
	program, err := files.Resolve(path)
	if err != nil {
		return nil, err
	}
	if err := regular(program); err != nil {
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
		file, err := files.Resolve(filepath.Join(p.cfg.Launch.Config, base+".conf"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := regular(file); err != nil {
			return nil, err
		}
		config, err := os.ReadFile(file)
		f.config = string(config)
		return f, err
	}
	return f, nil
}

// regular returns an error for what is no file: a pipe would have us wait.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	return err
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
