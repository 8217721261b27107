package docker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/engine/nri/docker"
)

// expressible has a value for each field of an adjustment that Docker has settings
// for. Every other field of NRI's protocol, those of later versions too, must be
// refused by name.
var expressible = map[string]string{
	"annotations":                         `{"a": "1"}`,
	"args":                                `["x"]`,
	"CDIDevices":                          `[{"name": "vendor.com/gpu=0"}]`,
	"env":                                 `[{"key": "NEW", "value": "1"}]`,
	"linux.cgroupsPath":                   `"/parent/` + id + `"`,
	"linux.devices":                       `[{"path": "/dev/null", "type": "c", "major": 1, "minor": 3}]`,
	"linux.namespaces":                    `[{"type": "-pid"}]`,
	"linux.oomScoreAdj":                   `{"value": 7}`,
	"linux.resources.cpu.cpus":            `"0"`,
	"linux.resources.cpu.mems":            `"0"`,
	"linux.resources.cpu.period":          `{"value": 7000}`,
	"linux.resources.cpu.quota":           `{"value": 7000}`,
	"linux.resources.cpu.realtimePeriod":  `{"value": 7000}`,
	"linux.resources.cpu.realtimeRuntime": `{"value": 7000}`,
	"linux.resources.cpu.shares":          `{"value": 7}`,
	"linux.resources.devices":             `[{"allow": true, "type": "c", "access": "r", "major": {"value": 1}}]`,
	"linux.resources.memory.limit":        `{"value": 7000000}`,
	"linux.resources.pids.limit":          `7`,
	"linux.sysctl":                        `{"net.a": "1"}`,
	"mounts":                              `[{"destination": "/a", "type": "bind", "source": "/b"}]`,
	"rlimits":                             `[{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}]`,
}

// updatable is the same for updates.
var updatable = map[string]string{
	"cpu.cpus":           `"0"`,
	"cpu.mems":           `"0"`,
	"cpu.period":         `{"value": 7000}`,
	"cpu.quota":          `{"value": -1}`,
	"cpu.shares":         `{"value": 7}`,
	"memory.limit":       `{"value": 7000000}`,
	"memory.reservation": `{"value": 7000000}`,
	"memory.swap":        `{"value": 7000000}`,
	"pids.limit":         `-1`,
}

// leaves lists the fields of a message by their paths in JSON, going into messages
// that are there once and are no wrapper of a single value.
func leaves(path string, md protoreflect.MessageDescriptor) map[string]protoreflect.FieldDescriptor {
	found := map[string]protoreflect.FieldDescriptor{}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		name := strings.TrimPrefix(path+"."+fd.JSONName(), ".")
		if m := fd.Message(); m != nil && !fd.IsList() && !fd.IsMap() && !strings.HasPrefix(string(m.Name()), "Optional") {
			for k, v := range leaves(name, m) {
				found[k] = v
			}
			continue
		}
		found[name] = fd
	}
	return found
}

// sample is some value of a field, as JSON.
func sample(fd protoreflect.FieldDescriptor) string {
	one := `{}`
	switch kind := fd.Kind(); {
	case fd.IsMap() && fd.MapValue().Kind() == protoreflect.MessageKind:
		return `{"x": {}}`
	case fd.IsMap():
		return `{"x": "1"}`
	case kind == protoreflect.StringKind:
		one = `"x"`
	case kind == protoreflect.BoolKind:
		one = `true`
	case kind != protoreflect.MessageKind:
		one = `1`
	}
	if fd.IsList() {
		return "[" + one + "]"
	}
	return one
}

// set puts a value, as JSON, at a path of a message.
func set(t *testing.T, m proto.Message, path, value string) {
	t.Helper()
	names := strings.Split(path, ".")
	for _, name := range slices.Backward(names) {
		value = fmt.Sprintf("{%q: %s}", name, value)
	}
	part := m.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal([]byte(value), part); err != nil {
		t.Fatal(err)
	}
	proto.Merge(m, part)
}

// names says whether an entry of the error is about the path or contains it.
func names(err error, path string) bool {
	var unsupported *docker.Unsupported
	return errors.As(err, &unsupported) && slices.ContainsFunc(unsupported.What, func(entry string) bool {
		field, _, _ := strings.Cut(entry, ":")
		field, _, _ = strings.Cut(field, "[")
		return field == path || strings.HasPrefix(path, field+".")
	})
}

func TestEveryFieldOfAnAdjustment(t *testing.T) {
	fields := leaves("", (&api.ContainerAdjustment{}).ProtoReflect().Descriptor())
	for path := range expressible {
		if fields[path] == nil {
			t.Errorf("%s is no field of an adjustment", path)
		}
	}
	for path, fd := range fields {
		a := &api.ContainerAdjustment{}
		value, ok := expressible[path]
		if !ok {
			value = sample(fd)
		}
		set(t, a, path, value)
		c := plain()
		err := docker.Apply(c, a)
		changed := !cmp.Equal(plain(), c)
		switch {
		case ok && (err != nil || !changed):
			t.Errorf("%s: changed %v, error %v", path, changed, err)
		case !ok && (changed || !names(err, path)):
			t.Errorf("%s: changed %v, error does not name it: %v", path, changed, err)
		}
	}
}

func TestEveryFieldOfAnUpdate(t *testing.T) {
	fields := leaves("", (&api.LinuxResources{}).ProtoReflect().Descriptor())
	none, err := docker.Update(nil)
	if err != nil {
		t.Fatal(err)
	}
	for path := range updatable {
		if fields[path] == nil {
			t.Errorf("%s is no field of an update", path)
		}
	}
	for path, fd := range fields {
		r := &api.LinuxResources{}
		value, ok := updatable[path]
		if !ok {
			value = sample(fd)
		}
		set(t, r, path, value)
		got, err := docker.Update(r)
		switch {
		case ok && (err != nil || cmp.Equal(none, got)):
			t.Errorf("%s: %+v, error %v", path, got, err)
		case !ok && (got != nil || !names(err, path)):
			t.Errorf("%s: error does not name it: %v", path, err)
		}
	}
}

// TestUnknownFields puts a field that this build does not know into each message of
// an adjustment in turn.
func TestUnknownFields(t *testing.T) {
	complete := &api.ContainerAdjustment{}
	for path, value := range expressible {
		set(t, complete, path, value)
	}
	if err := docker.Apply(plain(), complete); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var visit func(protoreflect.Message)
	visit = func(m protoreflect.Message) {
		seen++
		m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
		c := plain()
		if err := docker.Apply(c, complete); err == nil || !strings.Contains(err.Error(), "unknown field 99") || !cmp.Equal(plain(), c) {
			t.Errorf("in %s: error %v", m.Descriptor().Name(), err)
		}
		m.SetUnknown(protoreflect.RawFields{0xff})
		if err := docker.Apply(plain(), complete); err == nil || !strings.Contains(err.Error(), "malformed fields") {
			t.Errorf("in %s: error %v", m.Descriptor().Name(), err)
		}
		m.SetUnknown(nil)
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsMap() || fd.Kind() != protoreflect.MessageKind:
			case fd.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	visit(complete.ProtoReflect())
	if seen < 20 {
		t.Errorf("only %d messages were tried", seen)
	}
}

func TestUpdateRefuses(t *testing.T) {
	r := &api.LinuxResources{
		Memory: &api.LinuxMemory{Limit: api.Int64(-1), Reservation: api.Int64(0), Swap: api.Int64(-1)},
		Cpu:    &api.LinuxCPU{Shares: api.UInt64(0), Quota: api.Int64(0), Period: api.UInt64(^uint64(0)), Cpus: "0\x00"},
		Pids:   &api.LinuxPids{},
	}
	_, err := docker.Update(r)
	want := "Docker cannot express: cpu.cpus: holds a NUL byte or is no UTF-8; cpu.period: 18446744073709551615 is too large; cpu.quota: 0 leaves a running container as it is; " +
		"cpu.shares: 0 leaves a running container as it is; memory.limit: -1 leaves a running container as it is; " +
		"memory.reservation: 0 leaves a running container as it is; memory.swap: -1 leaves a running container as it is; " +
		"pids.limit: Docker takes 0 for no limit"
	if err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
}
