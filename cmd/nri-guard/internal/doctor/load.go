package doctor

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// configuration is what a runtime is told: the settings of all its files and flags, the
// later over the earlier, and the files in the order in which they were read.
type configuration struct {
	settings settings
	files    []string
	disabled []string // containerd's disabled_plugins
	snippets string   // the file for what is to be added, "" where the dialect says it
	versions []fileVersion

	// replaced are the settings as containerd 1 reads its files; nil for other runtimes.
	replaced settings
	// third is where a file has a version that containerd 1 does not read.
	third bool
}

// fileVersion is the version that a file of containerd's has.
type fileVersion struct {
	setting
	file    string
	version int64
	ours    bool // whether it has nothing but NRI's section
}

// maxImports bounds how many files a configuration may import.
const maxImports = 200

// loadContainerd reads a configuration file and its imports as containerd does:
// breadth first, each file once, the later over the earlier, key by key, lists as a whole;
// in containerd 1 a plugin's section as a whole. Only disabled_plugins add up.
func loadContainerd(h host, file string, _ []string) (*configuration, error) {
	c := &configuration{settings: settings{}, replaced: settings{}}
	if !h.exists(file) {
		return c, nil // imports are in the file: without it there are none
	}
	for pending := []string{file}; len(pending) > 0 && len(c.files) < maxImports; {
		name := pending[0]
		pending = pending[1:]
		if slices.Contains(c.files, name) {
			continue
		}
		s, err := readTOMLFile(h, name)
		if err != nil {
			return c, err
		}
		c.files = append(c.files, name)
		maps.Copy(c.settings, s)
		c.replaced.replace(s)
		v := versionOf(name, s)
		c.versions = append(c.versions, v)
		c.third = c.third || v.version > 2
		c.disabled = append(c.disabled, stringsOf(s["disabled_plugins"].value)...)
		for _, i := range stringsOf(s["imports"].value) {
			if i = path.Clean(i); !path.IsAbs(i) {
				i = path.Join(path.Dir(name), i)
			}
			pending = append(pending, h.glob(i)...)
		}
	}
	return c, nil
}

// versionOf is the version of a file, 0 where it says none.
func versionOf(file string, s settings) fileVersion {
	v := fileVersion{setting: s["version"], file: file, ours: true}
	v.version, _ = v.value.(int64)
	for key := range s {
		v.ours = v.ours && (key == "version" || section(key) == nriSection)
	}
	return v
}

// crioDir is where CRI-O's drop-ins are, whatever file it is told to read before them.
const crioDir = "/etc/crio/crio.conf.d"

// loadCRIO reads crio.conf and then everything below crio.conf.d in the order of names,
// each file over those before it, and the flags over all.
func loadCRIO(h host, file string, args []string) (*configuration, error) {
	c := &configuration{settings: settings{}}
	dir, given := flagValue(args, "config-dir", "d")
	if !given {
		dir = crioDir
	}
	c.snippets = path.Join(dir, "99-nri-guard.conf")
	if dir == "" { // there are no drop-ins then
		c.snippets = file
	}
	for _, name := range append([]string{file}, below(h, dir)...) {
		s, err := readTOMLFile(h, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, err
		}
		c.files = append(c.files, name)
		maps.Copy(c.settings, s)
	}
	overlay(crio(), c, args)
	return c, nil
}

// below lists the files in a directory and its directories, in the order of names.
func below(h host, dir string) []string {
	var files []string
	entries, _ := h.list(dir) // a directory that is not there has no files
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			files = append(files, below(h, name)...)
		} else {
			files = append(files, name)
		}
	}
	return files
}

// loadDocker reads daemon.json, and --nri-opts over it. dockerd takes the former apart
// from the latter's word: it refuses to start where both speak.
func loadDocker(h host, file string, args []string) (*configuration, error) {
	c := &configuration{settings: settings{}}
	data, err := h.read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return c, err
	default:
		c.files = []string{file}
		if err := c.settings.addJSON(file, data); err != nil {
			return c, err
		}
	}
	opts := flag(args, "nri-opts")
	fields, err := csv.NewReader(strings.NewReader(opts)).Read()
	if opts == "" || err != nil {
		return c, nil
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		at := setting{value: value, at: "--nri-opts" + onCommandLine}
		if name == "enable" {
			at.value = value == "" || isTrue(value)
		}
		c.settings[keyOf("nri-opts", name)] = at
	}
	return c, nil
}

// addJSON takes up a JSON object. The standard library does not say where keys are;
// they are looked for in the text, which finds them as long as they are named once.
func (s settings) addJSON(file string, data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return fmt.Errorf("%s: is no UTF-8", file)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil // as dockerd takes it
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s.flatten("", tree, func(key string) string {
		name := key[strings.LastIndex(key, "\x1f")+1:]
		if i := bytes.Index(bytes.ToLower(data), []byte(`"`+name+`"`)); i >= 0 {
			return fmt.Sprintf("%s:%d", file, 1+bytes.Count(data[:i], []byte("\n")))
		}
		return file
	})
	return nil
}

func readTOMLFile(h host, name string) (settings, error) {
	data, err := h.read(name)
	if err != nil {
		return nil, err
	}
	return readTOML(name, data)
}

// overlay puts the flags of a command line over the files.
func overlay(d *dialect, c *configuration, args []string) {
	for o, name := range d.flags {
		value, given := flagValue(args, name)
		if !given {
			continue
		}
		key, _, _ := d.key(o)
		s := setting{value: value, at: "--" + name + onCommandLine}
		if o == enable || o == noConnection {
			s.value = value == "" || isTrue(value)
		}
		c.settings[key] = s
	}
}

// flag is the value of a flag, by any of its names.
func flag(args []string, names ...string) string {
	value, _ := flagValue(args, names...)
	return value
}

// flagValue finds --name=value, --name value and -name in a command line. Where a flag is
// given more than once, the last has the word.
func flagValue(args []string, names ...string) (value string, given bool) {
	for i, a := range args {
		dashed := strings.TrimPrefix(strings.TrimPrefix(a, "-"), "-")
		if dashed == a {
			continue
		}
		got, v, has := strings.Cut(dashed, "=")
		if !slices.Contains(names, got) {
			continue
		}
		if !has && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			v = args[i+1]
		}
		value, given = v, true
	}
	return value, given
}

func isTrue(s string) bool {
	return s == "1" || strings.EqualFold(s, "true") || strings.EqualFold(s, "t")
}

// stringsOf takes the strings out of a list.
func stringsOf(value any) []string {
	var out []string
	list, _ := value.([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
