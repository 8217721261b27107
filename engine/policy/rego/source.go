package rego

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
	"sigs.k8s.io/yaml"
)

// Sources says where policies come from.
type Sources struct {
	// Library holds the guard's own policies, which may define what is reserved:
	// data.nri.lib and the names of its policies. Nil is a library without any.
	Library fs.FS
	// Paths are directories, .rego files and OPA bundles (.tar.gz) of the user.
	Paths []string
	// Config is what policies find at data.nri.config.
	Config map[string]any
}

// Limits of what is read, far above what people write.
const (
	maxModule = 1 << 20
	maxData   = 16 << 20
)

// origin is one place that was read: the library or one of the paths.
type origin struct {
	name    string // "library" or the path
	library bool
	files   []file
	data    map[string]any // documents, mounted below data
}

// file is one Rego module as it was read.
type file struct {
	name string // for people
	rel  string // name within the origin
	dir  string // the directory it lies in, different for each origin
	text string
}

// test says whether the file holds tests, which take no part in decisions.
func (f file) test() bool { return strings.HasSuffix(f.name, "_test.rego") }

// readAll reads all sources. What cannot be read is a problem.
func readAll(s Sources, p *problems) []*origin {
	var origins []*origin
	if s.Library != nil {
		origins = append(origins, readFS(&origin{name: "library", library: true}, s.Library, p))
	}
	for _, at := range s.Paths {
		origins = append(origins, readPath(at, p))
	}
	return origins
}

func readPath(at string, p *problems) *origin {
	o := &origin{name: filepath.ToSlash(filepath.Clean(at))}
	info, err := os.Stat(at)
	switch {
	case err != nil:
		p.add(o.name, 0, "%v", err)
	case info.IsDir():
		readFS(o, os.DirFS(at), p)
	case !info.Mode().IsRegular():
		p.add(o.name, 0, irregular)
	case strings.HasSuffix(at, ".tar.gz"):
		readBundle(o, at, p)
	case strings.HasSuffix(at, ".rego"):
		text, err := os.ReadFile(at)
		if err != nil {
			p.add(o.name, 0, "%v", err)
			break
		}
		// A file named by itself is as good as a directory of its own.
		o.add(file{name: o.name, rel: path.Base(o.name), dir: o.name, text: string(text)}, p)
	default:
		p.add(o.name, 0, "is neither a directory, a .rego file nor a bundle (.tar.gz)")
	}
	return o
}

// readFS reads a directory with everything below it but hidden files: modules and
// data documents (data.json, data.yaml, data.yml), which are mounted where they
// lie, as in OPA's bundles. Other files are nobody's business.
func readFS(o *origin, fsys fs.FS, p *problems) *origin {
	err := fs.WalkDir(fsys, ".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if at != "." && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			// Read through it to a file, as in a Kubernetes volume; a directory would
			// be left out without a word.
			if info, err := fs.Stat(fsys, at); err != nil || info.IsDir() {
				p.add(path.Join(o.name, at), 0, "is a symbolic link to a directory or to nothing; name the directory itself")
				return nil
			}
		}
		if !entry.IsDir() {
			o.readFile(fsys, at, p)
		}
		return nil
	})
	if err != nil {
		p.add(o.name, 0, "%v", err)
	}
	return o
}

func (o *origin) readFile(fsys fs.FS, at string, p *problems) {
	name := path.Join(o.name, at)
	isData := isDataFile(path.Base(at))
	if !isData && path.Ext(at) != ".rego" {
		return
	}
	bytes, err := readRegular(fsys, at)
	if err != nil {
		p.add(name, 0, "%v", err)
		return
	}
	if !isData {
		o.add(file{name: name, rel: at, dir: path.Dir(name), text: string(bytes)}, p)
		return
	}
	value, err := decodeData(at, bytes)
	if err != nil {
		p.add(name, 0, "%v", err)
		return
	}
	if dir := path.Dir(at); dir != "." {
		parts := strings.Split(dir, "/")
		for i := len(parts) - 1; i >= 0; i-- {
			value = map[string]any{parts[i]: value}
		}
	}
	o.addData(name, value, p)
}

// irregular is said of pipes, which would have us wait, and of devices, which have no end.
const irregular = "is no regular file"

func readRegular(fsys fs.FS, at string) ([]byte, error) {
	info, err := fs.Stat(fsys, at)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(irregular)
	}
	return fs.ReadFile(fsys, at)
}

func isDataFile(base string) bool {
	return base == "data.json" || base == "data.yaml" || base == "data.yml"
}

// decodeData reads JSON or YAML with numbers as they are written.
func decodeData(name string, bytes []byte) (value any, err error) {
	if len(bytes) > maxData {
		return nil, fmt.Errorf("is larger than %d bytes", maxData)
	}
	if path.Ext(name) != ".json" {
		if bytes, err = yaml.YAMLToJSONStrict(bytes); err != nil {
			return nil, err
		}
	}
	err = util.UnmarshalJSON(bytes, &value)
	return value, err
}

func (o *origin) add(f file, p *problems) {
	if len(f.text) > maxModule {
		p.add(f.name, 0, "is larger than %d bytes", maxModule)
		return
	}
	o.files = append(o.files, f)
}

// addData mounts a document at the root of data.
func (o *origin) addData(name string, value any, p *problems) {
	document, ok := value.(map[string]any)
	if !ok {
		p.add(name, 0, "a data document at the root must be an object")
		return
	}
	if _, reserved := document["nri"]; reserved && !o.library {
		p.add(name, 0, "defines data.nri, which is reserved; documents can be mounted anywhere else")
		return
	}
	if o.data == nil {
		o.data = map[string]any{}
	}
	if at := merge(o.data, document, "data"); at != "" {
		p.add(name, 0, "defines %s, which another document defines too", at)
	}
}

// merge adds the keys of from to into. Where both define the same place it stops
// and tells the path.
func merge(into, from map[string]any, at string) (conflict string) {
	for _, key := range util.KeysSorted(from) {
		there, exists := into[key]
		if !exists {
			into[key] = from[key]
			continue
		}
		a, ok1 := there.(map[string]any)
		b, ok2 := from[key].(map[string]any)
		if !ok1 || !ok2 {
			return at + "." + key
		}
		if conflict = merge(a, b, at+"."+key); conflict != "" {
			return conflict
		}
	}
	return ""
}
