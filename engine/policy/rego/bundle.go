package rego

import (
	"os"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// readBundle reads an OPA bundle. Of what a bundle can hold, Rego and data are
// taken; anything else would be ignored, and is refused instead.
//
// A signed bundle is refused too, because there is no key to check it with.
func readBundle(o *origin, at string, p *problems) {
	f, err := os.Open(at)
	if err != nil {
		p.add(o.name, 0, "%v", err)
		return
	}
	defer f.Close() //nolint:errcheck // nothing was written

	b, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(f, "")).
		WithBaseDir(o.name).
		WithSizeLimitBytes(maxData).
		WithRegoVersion(ast.RegoV1).
		Read()
	if len(astErrors(err)) > 0 {
		p.ast(o.name, err)
		return
	}
	if err != nil {
		p.add(o.name, 0, "no OPA bundle that can be read: %v", err)
		return
	}
	switch {
	case b.Type() != bundle.SnapshotBundleType:
		p.add(o.name, 0, "is a delta bundle; only snapshot bundles can be loaded")
	case len(b.WasmModules) > 0 || len(b.PlanModules) > 0:
		p.add(o.name, 0, "holds compiled policies; build it with the target rego")
	}
	for _, m := range b.Modules {
		name := path.Clean(m.Path)
		o.add(file{name: name, rel: strings.TrimPrefix(m.RelativePath, "/"), dir: path.Dir(name), text: string(m.Raw)}, p)
	}
	if len(b.Data) > 0 {
		o.addData(o.name, b.Data, p)
	}
}
