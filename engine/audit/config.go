package audit

import (
	"fmt"
	"path"
	"path/filepath"
)

// Defaults of [Config].
const (
	DefaultMaxSize    = 100 // MiB
	DefaultMaxBackups = 10
)

// Config says where decisions are written and what of them. It is the audit part
// of the configuration file.
type Config struct {
	// Path of the file, absolute; - stands for standard output, which is to be given to
	// [NewWriter]. Missing directories are made, for their owner alone, and the file
	// belongs to its owner alone. A file that is there already is continued; anything
	// but a regular file is refused.
	Path string `yaml:"path" doc:"file that decisions are written to, a line of JSON each; - is standard output; none without it"`
	// Unmask holds patterns, as of [path.Match], for names of environment
	// variables whose values may be written.
	Unmask []string `yaml:"unmask" doc:"patterns for names of environment variables whose values may be shown in the log and in messages"`
	// MaxSize in MiB that a file has when the next is begun; 0 is [DefaultMaxSize].
	MaxSize int `yaml:"maxSize" doc:"size in MiB at which the next file is begun; default 100"`
	// MaxBackups is how many old files are kept; 0 is [DefaultMaxBackups], a
	// negative number keeps all.
	MaxBackups int `yaml:"maxBackups" doc:"old files to keep; default 10, a negative number keeps all"`
	// MaxAge in days after which old files are removed; 0 is never.
	MaxAge int `yaml:"maxAge" doc:"days after which old files are removed; default never"`
	// Compress old files with gzip.
	Compress bool `yaml:"compress" doc:"whether old files are compressed with gzip"`
	// Labels are written with each decision, to tell this log from others.
	Labels map[string]string `yaml:"labels" doc:"written with each decision, to tell this node's log from others"`
}

// KeyError says what is wrong with a key of the configuration.
type KeyError struct {
	Key     string // such as unmask[1]
	Message string
}

// Error gives key and message.
func (e *KeyError) Error() string { return e.Key + ": " + e.Message }

// Check says what is wrong with the configuration; the error is a [*KeyError].
func (c *Config) Check() error {
	if c.Path != "" && c.Path != "-" && !filepath.IsAbs(c.Path) {
		return &KeyError{"path", fmt.Sprintf("%q must be absolute", c.Path)}
	}
	for i, p := range c.Unmask {
		if _, err := path.Match(p, ""); err != nil {
			return &KeyError{fmt.Sprintf("unmask[%d]", i), fmt.Sprintf("pattern %q: %v", p, err)}
		}
	}
	if c.MaxSize < 0 {
		return &KeyError{"maxSize", fmt.Sprintf("%d must not be negative", c.MaxSize)}
	}
	if c.MaxAge < 0 {
		return &KeyError{"maxAge", fmt.Sprintf("%d must not be negative", c.MaxAge)}
	}
	return nil
}
