package nri

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// mark stands for one change of a container.
type mark [sha256.Size]byte

// allowances are what plugins were let have of a container, by its mark.
type allowances map[mark]*allowance

// allowance says who was let have something, and how many times in all.
type allowance struct {
	plugins []engine.Plugin
	left    int
}

// allowances returns what all plugins together were let have.
func (c *creation) allowances() allowances {
	all := allowances{}
	if c == nil {
		return all
	}
	for m, marks := range c.by {
		for _, k := range marks {
			a := all[k]
			if a == nil {
				a = &allowance{}
				all[k] = a
			}
			a.left++
			if !slices.Contains(a.plugins, m.plugin) {
				a.plugins = append(a.plugins, m.plugin)
			}
		}
	}
	return all
}

// take uses up what a change is made of. The owners are all who were let have a part
// of it: where several were let have the same, one cannot be told from the other.
func (all allowances) take(parts []mark) (owners []engine.Plugin, ok bool) {
	for _, k := range parts {
		a := all[k]
		if a == nil || a.left == 0 {
			return nil, false
		}
		a.left--
		for _, p := range a.plugins {
			if !slices.Contains(owners, p) {
				owners = append(owners, p)
			}
		}
	}
	slices.SortFunc(owners, engine.ComparePlugins)
	return owners, true
}

// marksOf identifies a change by what becomes of the container: where two plugins
// have a part in it, what there was before depends on who is asked, and so do all
// judgements that compare with it. RDT classes are merged member by member: of one
// plugin's own reply each member counts, of the merged one those that differ from
// what there was.
func marksOf(c *engine.Change, own bool) []mark {
	rdt, ok := c.Value.(*api.LinuxRdt)
	if !ok || c.Op == engine.Remove {
		return []mark{markOf(c, outcome(c))}
	}
	old, _ := c.Old.(*api.LinuxRdt)
	var marks []mark
	for _, member := range []struct {
		name       string
		value, was proto.Message
	}{
		{"closId", rdt.GetClosId(), old.GetClosId()},
		{"schemata", rdt.GetSchemata(), old.GetSchemata()},
		{"enableMonitoring", rdt.GetEnableMonitoring(), old.GetEnableMonitoring()},
	} {
		set := member.value.ProtoReflect().IsValid()
		if set && (own || !proto.Equal(member.value, member.was)) {
			marks = append(marks, markOf(c, member.name, encode(member.value)))
		}
	}
	return marks
}

// markOf hashes the parts, each with its length in front.
func markOf(c *engine.Change, rest ...string) mark {
	var room [512]byte
	b := room[:0]
	for _, p := range append([]string{c.Container, string(c.Field), c.Key}, rest...) {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}

// outcome is what will be there.
func outcome(c *engine.Change) string {
	if c.Op == engine.Remove {
		return "-"
	}
	switch v := c.Value.(type) {
	case string:
		return "=" + v
	case *engine.Mount:
		return "=" + encode(append([]string{v.Type, v.Source}, v.Options...))
	case *engine.Device:
		d := *v
		d.HostPaths = nil
		return "=" + encode(d)
	default:
		return "=" + encode(v)
	}
}

// encode writes a value so that equal ones come out equal.
func encode(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case proto.Message:
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(v)
		if err != nil {
			return fmt.Sprintf("%v", v)
		}
		return string(b)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(b)
}
