package nri

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// builder collects the changes of one review.
type builder struct {
	border *Border
	review *engine.Review
	host   host
	nodes  deviceNodes
	// owners is NRI's book of who set what; nil where one plugin is judged or
	// nobody kept it.
	owners *api.OwningPlugins
	// known are the lists of plugins that its entries stand for.
	known  map[string][]engine.Plugin
	target target
	// claims are the places in the book that changes go by.
	claims []claim
	// missing is set where a list has an element that is nil, on which NRI's own
	// code panics: such messages are not looked into.
	missing bool
}

// target is the container that changes are being collected for.
type target struct {
	id  string
	pod *api.PodSandbox
}

// judged names the one plugin that is judged, if it is one.
func (x *builder) judged(p engine.Plugin, consulted []engine.Plugin) {
	x.review.Plugin = p
	x.review.Plugins = slices.Clone(consulted)
	if p != (engine.Plugin{}) && !slices.Contains(consulted, p) {
		x.review.Plugins = append(x.review.Plugins, p)
	}
}

// add records a change. owned tells where NRI's book has its owners.
func (x *builder) add(c engine.Change, owned ownership) {
	c.Container = x.target.id
	c.Pod = x.target.pod
	c.Owners = x.ownersOf(owned)
	x.attribute(&c)
	x.claim(owned, c.Op)
	x.review.Changes = append(x.review.Changes, &c)
}

// share adds owners to a change that several have a part in.
func (x *builder) share(c *engine.Change, owned ...ownership) {
	c.Owners = slices.Clone(c.Owners)
	for _, o := range owned {
		x.claim(o, c.Op)
		for _, p := range x.ownersOf(o) {
			if !slices.Contains(c.Owners, p) {
				c.Owners = append(c.Owners, p)
			}
		}
	}
	x.attribute(c)
}

// attribute names the plugin of a change where it is one plugin's.
func (x *builder) attribute(c *engine.Change) {
	switch {
	case len(c.Owners) == 1:
		c.Plugin = c.Owners[0]
	case len(c.Owners) == 0 && len(x.review.Plugins) == 1:
		c.Plugin = x.review.Plugins[0]
	default:
		c.Plugin = engine.Plugin{}
	}
}

// diff records how a single value becomes another; absent is nil. Nothing is
// recorded where both are.
func (x *builder) diff(field engine.Field, key string, old, value any, owned ownership) {
	c := engine.Change{Field: field, Key: key, Old: old, Value: value}
	switch {
	case old == nil && value == nil:
		return
	case old == nil:
		c.Op = engine.Add
	case value == nil:
		c.Op = engine.Remove
	default:
		c.Op = engine.Replace
	}
	x.add(c, owned)
}

// malformed records why no runtime could carry out what was asked.
func (x *builder) malformed(format string, args ...any) {
	x.review.Malformed = append(x.review.Malformed, fmt.Sprintf(format, args...))
}

// ownership is a place in NRI's book of owners: a field, and where it is kept by
// entry the name of the entry as the plugin wrote it.
type ownership struct {
	field api.Field
	key   string
	// compound is set where the field is kept by entry.
	compound bool
}

func simple(f api.Field) ownership { return ownership{field: f} }
func compound(f api.Field, key string) ownership {
	return ownership{field: f, key: key, compound: true}
}

// nobody is for what NRI keeps no owners of.
var nobody = ownership{}

// ownersOf returns the plugins that NRI holds responsible. NRI marks who removed
// something with a leading dash, and joins the owners of hooks with commas.
func (x *builder) ownersOf(o ownership) []engine.Plugin {
	if x.review.Plugin != (engine.Plugin{}) {
		return []engine.Plugin{x.review.Plugin}
	}
	if o == nobody {
		return nil
	}
	book := x.owners.GetOwners()[x.target.id]
	var names string
	if o.compound {
		names = book.GetCompound()[o.field.Key()].GetOwners()[o.key]
	} else {
		names = book.GetSimple()[o.field.Key()]
	}
	if names == "" {
		return nil
	}
	plugins, ok := x.known[names]
	if !ok {
		plugins = x.parseOwners(names, o.field == api.Field_OciHooks)
		if x.known == nil {
			x.known = map[string][]engine.Plugin{}
		}
		x.known[names] = plugins
	}
	return plugins
}

func (x *builder) parseOwners(names string, list bool) []engine.Plugin {
	if !list {
		return []engine.Plugin{x.named(names)}
	}
	// A name that holds a comma could stand for somebody else's: then nobody is
	// named, which makes every plugin that was consulted responsible.
	for _, p := range x.review.Plugins {
		if strings.Contains(p.Name, ",") {
			return nil
		}
	}
	var plugins []engine.Plugin
	for name := range strings.SplitSeq(names, ",") {
		if p := x.named(name); !slices.Contains(plugins, p) {
			plugins = append(plugins, p)
		}
	}
	return plugins
}

// named finds a plugin by the name that NRI's book has, INDEX-NAME.
func (x *builder) named(name string) engine.Plugin {
	name = api.ClearRemovalMarker(name)
	for _, p := range x.review.Plugins {
		if p.String() == name {
			return p
		}
	}
	index, base, err := api.ParsePluginName(name)
	if err != nil {
		return engine.Plugin{Name: name}
	}
	return engine.Plugin{Name: base, Index: index}
}

// finish sorts the changes, gives them ids, and lets the review be stripped.
func (x *builder) finish(m messages) *engine.Review {
	r := x.review
	slices.SortStableFunc(r.Changes, func(a, b *engine.Change) int {
		return cmp.Or(
			cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Container, b.Container),
			cmp.Compare(a.Position, b.Position),
			cmp.Compare(a.Op, b.Op),
		)
	})
	taken := make(map[string]int, len(r.Changes))
	for _, c := range r.Changes {
		c.ID = freeID(taken, c, r.Container.GetId())
	}
	if x.host.exhausted() {
		x.malformed("the sources of mounts have more than %d components in all; no more are looked up", maxComponents)
	}
	slices.Sort(r.Malformed)
	r.Malformed = slices.Compact(r.Malformed)
	m.claims, m.review = x.claims, r
	r.Messages = m
	if !x.border.NoStrip {
		r.Strip = strip
	}
	return r
}

// freeID makes an id that is not taken: FIELD:KEY, with @CONTAINER where that is
// not the one under review, and #N from the second of a name on. taken holds the
// ids that there are, with the last number given to each.
func freeID(taken map[string]int, c *engine.Change, reviewed string) string {
	id := string(c.Field)
	if c.Key != "" {
		id += ":" + c.Key
	}
	if c.Container != reviewed {
		id += "@" + c.Container
	}
	for n := taken[id] + 1; ; n++ {
		next := id
		if n > 1 {
			next += "#" + strconv.Itoa(n)
		}
		if _, ok := taken[next]; !ok {
			taken[next] = 1
			taken[id] = n
			return next
		}
	}
}
