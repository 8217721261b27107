package reviewtest

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// Random returns a review whose every value is drawn at random, odd ones more
// often than not. The same source gives the same review.
func Random(rng *rand.Rand) *engine.Review {
	g := generator{rng}
	r := &engine.Review{Version: engine.Version, Operation: pick(rng, engine.Operations())}
	g.fill(reflect.ValueOf(&r.Runtime).Elem(), 0)
	g.fill(reflect.ValueOf(&r.Plugin).Elem(), 0)
	g.fill(reflect.ValueOf(&r.Plugins).Elem(), 0)
	g.fill(reflect.ValueOf(&r.Pod).Elem(), 0)
	g.fill(reflect.ValueOf(&r.Container).Elem(), 0)
	n := 0
	for _, spec := range engine.Fields() {
		for range rng.IntN(3) {
			n++
			r.Changes = append(r.Changes, g.change(spec, r, n))
		}
	}
	return r
}

func (g generator) change(spec engine.FieldSpec, r *engine.Review, n int) *engine.Change {
	c := &engine.Change{ID: string(spec.Field) + "#" + strconv.Itoa(n), Op: pick(g.Rand, engine.Ops()), Field: spec.Field,
		Container: r.Container.GetId(), Granted: g.IntN(2) == 0}
	if spec.Key != "" {
		c.Key = g.text()
	}
	g.fill(reflect.ValueOf(&c.Plugin).Elem(), 0)
	g.fill(reflect.ValueOf(&c.Owners).Elem(), 0)
	if g.IntN(4) == 0 {
		c.Container = g.text()
	}
	if c.Op != engine.Remove {
		c.Value = g.value(spec)
	}
	if c.Op != engine.Add {
		c.Old = g.value(spec)
	}
	return c
}

func (g generator) value(spec engine.FieldSpec) any {
	zero := spec.Zero
	if spec.Field == engine.Resource {
		zero = pick(g.Rand, []any{int64(0), uint64(0), "", false})
	}
	v := reflect.New(reflect.TypeOf(zero)).Elem()
	for g.fill(v, 0); v.Kind() == reflect.Pointer && v.IsNil(); {
		g.fill(v, 0)
	}
	return v.Interface()
}

// generator fills Go values.
type generator struct{ *rand.Rand }

const deepest = 6

func (g generator) fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth < deepest && g.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				g.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for range g.IntN(3) {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			g.fill(v.Index(v.Len()-1), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range g.IntN(3) {
			elem := reflect.New(v.Type().Elem()).Elem()
			g.fill(elem, depth+1)
			v.SetMapIndex(reflect.ValueOf(g.text()), elem)
		}
	case reflect.String:
		v.SetString(g.text())
	case reflect.Bool:
		v.SetBool(g.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(pick(g.Rand, []int64{0, 1, -1, 7, 600, math.MaxInt32, math.MinInt32}))
		if v.Kind() == reflect.Int64 && g.IntN(3) == 0 {
			v.SetInt(pick(g.Rand, []int64{math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1}))
		}
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(pick(g.Rand, []uint64{0, 1, 511, 512, 513, math.MaxUint32}))
		if v.Kind() == reflect.Uint64 && g.IntN(3) == 0 {
			v.SetUint(pick(g.Rand, []uint64{math.MaxUint64, math.MaxInt64 + 1}))
		}
	}
}

func (g generator) text() string {
	return pick(g.Rand, []string{"", "a", "b", "name", "/dev/null", "A=b", "=", "x\xffy", "x\xfey", "\xff", "ünïcode\u2028",
		"quote\"back\\slash", "\x00\x1f\x7f", "bind", "a.b[0]", "2", strconv.Itoa(g.IntN(1000))})
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// Reference returns the request that costs are measured with: 5 mounts, 30
// variables, 3 plugins, 35 changes.
func Reference() *engine.Review {
	plugins := []engine.Plugin{{Name: "device-injector", Index: "10"}, {Name: "hook-injector", Index: "20"}, {Name: "tuner", Index: "30"}}
	r := &engine.Review{
		Version: engine.Version, Operation: engine.CreateContainer,
		Runtime: engine.Runtime{Name: "containerd", Version: "v2.2.0"}, Plugins: plugins,
		Pod: &api.PodSandbox{Id: "pod0123456789", Name: "web-0", Uid: "0b5c1f3e", Namespace: "shop",
			Labels:      map[string]string{"app": "web", "tier": "front"},
			Annotations: map[string]string{"kubernetes.io/config.source": "api"}},
		Container: &api.Container{Id: "c0123456789", PodSandboxId: "pod0123456789", Name: "web", Args: []string{"/bin/web"}},
	}
	add := func(field engine.Field, key string, value any) {
		p := plugins[len(r.Changes)%len(plugins)]
		r.Changes = append(r.Changes, &engine.Change{ID: string(field) + ":" + key, Op: engine.Add, Field: field, Key: key,
			Value: value, Plugin: p, Owners: []engine.Plugin{p}, Container: r.Container.Id, Pod: r.Pod})
	}
	for i := range 30 {
		name := "VARIABLE_" + strconv.Itoa(i+10)
		r.Container.Env = append(r.Container.Env, "EXISTING_"+strconv.Itoa(i)+"=value")
		add(engine.Env, name, "value of "+name)
	}
	for i := range 5 {
		n := strconv.Itoa(i)
		r.Container.Mounts = append(r.Container.Mounts, &api.Mount{Destination: "/old/" + n, Type: "bind", Source: "/srv/old/" + n, Options: []string{"rbind", "ro"}})
		add(engine.MountPoint, "/data/"+n, &engine.Mount{Type: "bind", Source: "/srv/data/" + n, ResolvedSource: "/srv/data/" + n,
			Options: []string{"rbind", "ro", "rprivate"}, ReadOnly: true, Recursive: true, Propagation: "rprivate"})
	}
	return r
}
