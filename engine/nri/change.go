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
	// lookups are what the host remembers for this review.
	lookups lookups
	nodes   deviceNodes
	// owners is NRI's book of who set what; nil where one plugin is judged or
	// nobody kept it.
	owners *api.OwningPlugins
	// owning are the plugin judged, or those consulted, for owners to be parts of.
	// They are not the review's own, in which identities may be put later.
	owning []engine.Plugin
	// hookNames are the last owners of hooks in the book, hookOwners who that is.
	hookNames  string
	hookOwners []engine.Plugin
	target     target
	// room is for changes that are expected.
	room []engine.Change
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

func (x *builder) host() host { return host{root: x.border.HostRoot, review: &x.lookups} }

// judged names the one plugin that is judged, if it is one.
func (x *builder) judged(p engine.Plugin, consulted []engine.Plugin) {
	x.review.Plugin = p
	x.review.Plugins = slices.Clone(consulted)
	if p != (engine.Plugin{}) && !slices.Contains(consulted, p) {
		x.review.Plugins = append(x.review.Plugins, p)
	}
}

// expect makes room for n more changes, so that not each takes memory of its own.
func (x *builder) expect(n int) {
	if n <= cap(x.room)-len(x.room) {
		return
	}
	x.room = make([]engine.Change, 0, n)
	x.claims = slices.Grow(x.claims, n)
}

// add records a change. owned tells where NRI's book has its owners.
func (x *builder) add(change engine.Change, owned ownership) {
	if len(x.room) == cap(x.room) {
		x.expect(1 + len(x.review.Changes)/4)
	}
	x.room = append(x.room, change)
	c := &x.room[len(x.room)-1]
	c.Container = x.target.id
	c.Pod = x.target.pod
	c.Owners = x.ownersOf(owned)
	x.attribute(c)
	x.claim(owned, c.Op)
	if len(x.review.Changes) == cap(x.review.Changes) {
		x.review.Changes = slices.Grow(x.review.Changes, cap(x.room))
	}
	x.review.Changes = append(x.review.Changes, c)
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
	key   string
	field api.Field
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
		if x.owning == nil {
			x.owning = []engine.Plugin{x.review.Plugin}
		}
		return x.owning
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
	if o.field == api.Field_OciHooks {
		if x.hookNames != names {
			x.hookNames, x.hookOwners = names, x.parseOwners(names)
		}
		return x.hookOwners
	}
	return x.named(names)
}

func (x *builder) parseOwners(names string) []engine.Plugin {
	// A name that holds a comma could stand for somebody else's: then nobody is
	// named, which makes every plugin that was consulted responsible.
	for _, p := range x.review.Plugins {
		if strings.Contains(p.Name, ",") {
			return nil
		}
	}
	var plugins []engine.Plugin
	for name := range strings.SplitSeq(names, ",") {
		if p := x.named(name)[0]; !slices.Contains(plugins, p) {
			plugins = append(plugins, p)
		}
	}
	return plugins
}

// named finds a plugin by the name that NRI's book has, INDEX-NAME, and returns a
// list of it alone.
func (x *builder) named(name string) []engine.Plugin {
	name = api.ClearRemovalMarker(name)
	for i, p := range x.review.Plugins {
		if !isNamed(p, name) {
			continue
		}
		if x.owning == nil {
			x.owning = slices.Clone(x.review.Plugins)
		}
		return x.owning[i : i+1 : i+1]
	}
	index, base, err := api.ParsePluginName(name)
	if err != nil {
		return []engine.Plugin{{Name: name}}
	}
	return []engine.Plugin{{Name: base, Index: index}}
}

// isNamed compares with p.String(), without making it.
func isNamed(p engine.Plugin, name string) bool {
	if p.Name == "" && p.Index == "" {
		return name == ""
	}
	rest, ok := strings.CutPrefix(name, p.Index)
	return ok && len(rest) == len(p.Name)+1 && rest[0] == '-' && rest[1:] == p.Name
}

// finish sorts the changes, gives them ids, and lets the review be stripped.
func (x *builder) finish(m messages) *engine.Review {
	r := x.review
	slices.SortStableFunc(r.Changes, compareChanges)
	nameChanges(r.Changes, r.Container.GetId())
	if x.host().exhausted() {
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

func compareChanges(a, b *engine.Change) int {
	if c := compareNames(a, b); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Position, b.Position), strings.Compare(string(a.Op), string(b.Op)))
}

// compareNames compares what ids are made of. Most differ at once.
func compareNames(a, b *engine.Change) int {
	if c := strings.Compare(string(a.Field), string(b.Field)); c != 0 {
		return c
	}
	if c := strings.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return strings.Compare(a.Container, b.Container)
}

// nameChanges gives ids to changes that are sorted. One that has its name alone has
// nobody to clash with, unless there are signs in its key that ids have too.
func nameChanges(changes []*engine.Change, reviewed string) {
	var taken map[string]int
	again := false // the name is that of the change before
	for i, c := range changes {
		alone := !again
		again = i+1 < len(changes) && compareNames(c, changes[i+1]) == 0
		if alone && !again && c.Container == reviewed && strings.IndexByte(c.Key, '@') < 0 && strings.IndexByte(c.Key, '#') < 0 {
			c.ID = plainID(c)
			continue
		}
		if taken == nil {
			taken = map[string]int{}
		}
		c.ID = freeID(taken, c, reviewed)
	}
}

func plainID(c *engine.Change) string {
	if c.Key == "" {
		return string(c.Field)
	}
	return string(c.Field) + ":" + c.Key
}

// freeID makes an id that is not taken: FIELD:KEY, with @CONTAINER where that is
// not the one under review, and #N from the second of a name on. taken holds the
// ids that there are, with the last number given to each.
func freeID(taken map[string]int, c *engine.Change, reviewed string) string {
	id := plainID(c)
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
