package nri

import (
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// claim is a place in NRI's book of owners that a change goes by.
type claim struct {
	container string
	ownership
	removal bool
}

func (x *builder) claim(o ownership, op engine.Op) {
	if o != nobody {
		x.claims = append(x.claims, claim{x.target.id, o, op == engine.Remove})
	}
}

// ValidateRequest gives the messages as NRI gives them to validators: what is to be
// changed in the grammar of merged adjustments, and a book of owners. Validators take
// a change that nobody owns for none, so that where one plugin is judged, which NRI
// keeps no book for, the book says that everything is its.
func (m messages) ValidateRequest() *api.ValidateContainerAdjustmentRequest {
	r := m.review
	req := &api.ValidateContainerAdjustmentRequest{
		Pod: r.Pod, Container: r.Container, Adjust: m.merged, Update: m.update, Owners: m.owners, Plugins: m.plugins,
	}
	if req.Plugins == nil {
		for _, p := range r.Plugins {
			req.Plugins = append(req.Plugins, &api.PluginInstance{Name: p.Name, Index: p.Index})
		}
	}
	if r.Plugin != (engine.Plugin{}) {
		req.Owners = ownedBy(r.Plugin.String(), m.claims)
	}
	return req
}

// ownedBy writes a book in which all is one plugin's.
func ownedBy(plugin string, claims []claim) *api.OwningPlugins {
	book := api.NewOwningPlugins()
	for _, c := range claims {
		owners := book.Owners[c.container]
		if owners == nil {
			owners = api.NewFieldOwners()
			book.Owners[c.container] = owners
		}
		name := plugin
		if c.removal {
			name = api.MarkForRemoval(plugin)
		}
		if !c.compound {
			owners.Simple[c.field.Key()] = name
			continue
		}
		entries := owners.Compound[c.field.Key()]
		if entries == nil {
			entries = api.NewCompoundFieldOwners()
			owners.Compound[c.field.Key()] = entries
		}
		entries.Owners[c.key] = name
	}
	return book
}

// disown takes out of the book what changes went by before some were taken out, and
// none goes by now: a validator that looks at the book alone would object again.
func (m messages) disown(before []claim) messages {
	if m.owners == nil {
		return m
	}
	left := make(map[claim]bool, len(m.claims))
	for _, c := range m.claims {
		left[claim{c.container, c.ownership, false}] = true
	}
	m.owners = proto.CloneOf(m.owners)
	for _, c := range before {
		if !left[claim{c.container, c.ownership, false}] {
			disown(m.owners.GetOwners()[c.container], c.ownership)
		}
	}
	return m
}

// disown takes one entry out. Nothing must be left of the last one: some validators
// ask no more than whether there is a list of entries.
func disown(owners *api.FieldOwners, o ownership) {
	if !o.compound {
		delete(owners.GetSimple(), o.field.Key())
		return
	}
	entries := owners.GetCompound()[o.field.Key()].GetOwners()
	if delete(entries, o.key); len(entries) == 0 {
		delete(owners.GetCompound(), o.field.Key())
	}
}
