package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// setting is a value in a configuration and where it stands.
type setting struct {
	value any
	at    string // such as /etc/containerd/config.toml:12
}

// settings are the leaves of a configuration by their path, in lower case: all three
// runtimes read their own names in any case.
type settings map[string]setting

// keyOf joins the parts of a key, which may have dots in them.
func keyOf(parts ...string) string { return strings.Join(parts, "\x1f") }

// readTOML reads a TOML document with the lines of its keys.
func readTOML(file string, data []byte) (settings, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		if where := (*toml.DecodeError)(nil); errors.As(err, &where) {
			line, _ := where.Position()
			file = fmt.Sprintf("%s:%d", file, line)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	lines := linesOf(data)
	s := settings{}
	s.flatten("", tree, func(key string) string {
		if line := lines[key]; line > 0 {
			return fmt.Sprintf("%s:%d", file, line)
		}
		return file
	})
	return s, nil
}

// flatten takes up the leaves below a key.
func (s settings) flatten(prefix string, tree map[string]any, at func(key string) string) {
	for name, value := range tree {
		key := strings.ToLower(name)
		if prefix != "" {
			key = keyOf(prefix, key)
		}
		// An empty table is a leaf: that it is there may matter.
		if sub, ok := value.(map[string]any); ok && len(sub) > 0 {
			s.flatten(key, sub, at)
			continue
		}
		s[key] = setting{value, at(key)}
	}
}

// linesOf tells on which line each key of a TOML document stands, where the parser says.
func linesOf(data []byte) map[string]int {
	lines := map[string]int{}
	var parser unstable.Parser
	parser.Reset(data)
	var table []string
	for parser.NextExpression() {
		e := parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, _ = keyParts(&parser, e)
		case unstable.KeyValue:
			addLines(&parser, e, table, lines)
		}
	}
	return lines
}

func addLines(parser *unstable.Parser, e *unstable.Node, table []string, lines map[string]int) {
	parts, line := keyParts(parser, e)
	full := append(append([]string{}, table...), parts...)
	lines[keyOf(full...)] = line
	if value := e.Value(); value.Kind == unstable.InlineTable {
		for it := value.Children(); it.Next(); {
			addLines(parser, it.Node(), full, lines)
		}
	}
}

// keyParts takes a dotted key apart.
func keyParts(parser *unstable.Parser, e *unstable.Node) (parts []string, line int) {
	for it := e.Key(); it.Next(); {
		parts = append(parts, strings.ToLower(string(it.Node().Data)))
		if line == 0 {
			line = parser.Shape(it.Node().Raw).Start.Line
		}
	}
	return parts, line
}
