package engine

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// masked stands for the value of an environment variable.
const masked = "***"

// minSecret is the length from which on a value is looked for in messages.
// Shorter ones ("1", "true") are no secrets and would garble every text.
const minSecret = 5

// String describes a change for people: "add mount /data (bind from /srv/data,
// writable)". It is [Printable] and [Brief]. Values of environment variables are left out.
func (c *Change) String() string {
	return c.masked(func(s string) string { return s })
}

// masked is String with values masked, before anything is cut: half a value would not be
// known as one.
func (c *Change) masked(mask func(string) string) string {
	what := strings.TrimSpace(string(c.Op) + " " + string(c.Field) + " " + Brief(c.Key, maxKey))
	if detail := mask(describe(c, mask)); detail != "" {
		what += " (" + Brief(detail, maxKey) + ")"
	}
	return Printable(what)
}

func describe(c *Change, mask func(string) string) string {
	if c.Op == Remove || c.Field == Env {
		return ""
	}
	switch v := c.Value.(type) {
	case *Mount:
		return v.String()
	case *Hook:
		return strings.Join(slices.Concat([]string{v.Path}, v.Args), " ")
	case *Device:
		return fmt.Sprintf("%s %d:%d", v.Type, v.Major, v.Minor)
	case *DeviceRule:
		return v.String()
	case *Rlimit:
		return fmt.Sprintf("soft %d, hard %d", v.Soft, v.Hard)
	case *Namespace:
		return v.Path
	case *api.LinuxNetDevice:
		return v.GetName()
	case *CDIDevice, *api.LinuxSeccomp, nil:
		return ""
	case []string:
		return strings.Join(v, " ")
	case string:
		if v = mask(v); len(v) > 80 {
			return strconv.Quote(v[:80]) + "..."
		}
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
}

// String gives type, source and access.
func (m *Mount) String() string {
	access := "writable"
	if m.ReadOnly {
		access = "read-only"
	}
	from := ""
	if m.Source != "" {
		from = " from " + m.Source
	}
	if m.ResolvedSource != "" && m.ResolvedSource != m.Source {
		from += " = " + m.ResolvedSource
	}
	return m.Type + from + ", " + access
}

// String gives the rule in the notation of the device cgroup: "c 1:3 rwm",
// "deny c 1:3 rwm".
func (d *DeviceRule) String() string {
	number := func(n *int64) string {
		if n == nil {
			return "*"
		}
		return strconv.FormatInt(*n, 10)
	}
	kind := d.Type
	if kind == "" {
		kind = "a"
	}
	rule := fmt.Sprintf("%s %s:%s %s", kind, number(d.Major), number(d.Minor), d.Access)
	if !d.Allow {
		rule = "deny " + rule
	}
	return rule
}

// fingerprint identifies a change by what it says rather than by its id.
func (c *Change) fingerprint() string {
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s", c.Container, c.Field, c.Op, c.Key, plain(c.Value), plain(c.Old))
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case *Mount:
		return fmt.Sprintf("%+v", *v)
	case *Hook:
		return fmt.Sprintf("%+v", *v)
	case *Device:
		return fmt.Sprintf("%s %d %d %v %v %v", v.Type, v.Major, v.Minor, deref(v.FileMode), deref(v.UID), deref(v.GID))
	default:
		return fmt.Sprint(v)
	}
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// mask replaces the values of environment variables in texts.
type mask struct {
	values   []string // longest first: a value may be part of another
	replacer *strings.Replacer
}

// Mask returns a function that replaces the values of environment variables that the
// review holds, in texts that may repeat them.
func Mask(r *Review) func(text string) string { return newMask(nil, r).text }

// newMask collects the values that the review holds of variables whose names
// match none of the patterns.
func newMask(unmask []string, r *Review) mask {
	values := map[string]struct{}{}
	add := func(name, value string) {
		if len(value) >= minSecret && !Unmasked(unmask, name) {
			values[value] = struct{}{}
			// As a policy's %q writes it.
			quoted := strconv.Quote(value)
			values[quoted[1:len(quoted)-1]] = struct{}{}
		}
	}
	entries := func(env []string) {
		for _, e := range env {
			name, value, ok := strings.Cut(e, "=")
			if !ok {
				value = e // no variable at all, but who knows what it was meant to be
			}
			add(name, value)
		}
	}
	for _, c := range r.Changes {
		if c == nil {
			continue // a panic has to be described too
		}
		for _, v := range []any{c.Value, c.Old} {
			if s, ok := v.(string); ok && c.Field == Env {
				add(c.Key, s)
			}
			if h, ok := v.(*Hook); ok && h != nil {
				entries(h.Env)
			}
		}
	}
	entries(r.Container.GetEnv())
	list := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(len(b)-len(a), cmp.Compare(a, b))
	})
	return mask{list, replacer(list)}
}

// replacer replaces all values in one pass, however many there are.
func replacer(values []string) *strings.Replacer {
	pairs := make([]string, 0, 2*len(values))
	for _, v := range values {
		pairs = append(pairs, v, masked)
	}
	return strings.NewReplacer(pairs...)
}

func (m mask) text(s string) string { return m.replacer.Replace(s) }

// about masks a text that is about a change. Where that is a path, say, the path
// stays readable even when it is the value of some variable too.
func (m mask) about(c *Change, s string) string {
	public := c.public()
	if m.text(public) == public {
		return m.text(s)
	}
	secret := slices.DeleteFunc(slices.Clone(m.values), func(v string) bool { return strings.Contains(public, v) })
	return replacer(secret).Replace(s)
}

// public is what may be read of a change by anybody who learns of it.
func (c *Change) public() string {
	if c == nil || c.Field == Env {
		return ""
	}
	text := c.Key
	if m, ok := c.Value.(*Mount); ok && m != nil {
		text += "\n" + m.Source + "\n" + m.ResolvedSource
	}
	return text
}

// Unmasked says whether one of the patterns, as of [path.Match], matches the name
// of an environment variable, so that its value may be shown.
func Unmasked(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if beginsOtherwise(p, name) {
			return false
		}
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// beginsOtherwise says whether a pattern begins with a letter that the name does not begin
// with, which holds for most and is found out faster than that they do not match.
func beginsOtherwise(pattern, name string) bool {
	if pattern == "" {
		return false
	}
	switch pattern[0] {
	case '*', '?', '[', '\\':
		return false
	}
	return name == "" || name[0] != pattern[0]
}
