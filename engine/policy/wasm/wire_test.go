package wasm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

// crowded is a request with several entries in every map, maps of messages included.
func crowded() *api.ValidateContainerAdjustmentRequest {
	r := &api.ValidateContainerAdjustmentRequest{
		Pod:       &api.PodSandbox{Labels: map[string]string{}, Annotations: map[string]string{}},
		Container: &api.Container{Labels: map[string]string{}, Env: []string{"b", "a"}},
		Adjust: &api.ContainerAdjustment{Annotations: map[string]string{}, Linux: &api.LinuxContainerAdjustment{
			Sysctl: map[string]string{}, NetDevices: map[string]*api.LinuxNetDevice{}, Resources: &api.LinuxResources{Unified: map[string]string{}}}},
		Owners: api.NewOwningPlugins(),
	}
	for i := range 20 {
		key := fmt.Sprint("key", i)
		for _, m := range []map[string]string{r.Pod.Labels, r.Pod.Annotations, r.Container.Labels, r.Adjust.Annotations, r.Adjust.Linux.Sysctl, r.Adjust.Linux.Resources.Unified} {
			m[key] = fmt.Sprint(i % 3)
		}
		r.Adjust.Linux.NetDevices[key] = &api.LinuxNetDevice{Name: key}
		for _, err := range []error{r.Owners.ClaimEnv(key, "A", "p"), r.Owners.ClaimEnv("c", key, "p"), r.Owners.ClaimCgroupsUnified(key, key, "p")} {
			if err != nil {
				panic(err)
			}
		}
	}
	return r
}

// A request is always the same bytes, and they are the request.
func TestWire(t *testing.T) {
	w := &wire{request: requestLayout()}
	var first []byte
	for range 50 {
		r := crowded()
		b, err := w.marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = bytes.Clone(b)
		}
		if !bytes.Equal(first, b) {
			t.Fatal("two encodings differ")
		}
		var back api.ValidateContainerAdjustmentRequest
		if err := proto.Unmarshal(b, &back); err != nil || !proto.Equal(r, &back) {
			t.Fatalf("it is another request: %v", err)
		}
	}
}

// Fields that this build does not know are kept.
func TestWireUnknown(t *testing.T) {
	var r api.ValidateContainerAdjustmentRequest
	b := []byte("\x0a\x04\xf8\x07\x01\x0a\x00\xfa\x3f\x02hi\xf9\x3f12345678\xfd\x3f1234")
	b[1] = 5
	if err := proto.Unmarshal(b, &r); err != nil {
		t.Skipf("the test is wrong: %v", err)
	}
	got, err := (&wire{request: requestLayout()}).marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var back api.ValidateContainerAdjustmentRequest
	if err := proto.Unmarshal(got, &back); err != nil || !proto.Equal(&r, &back) {
		t.Errorf("%x became %x: %v", b, got, err)
	}
}

func TestWireText(t *testing.T) {
	for name, r := range map[string]*api.ValidateContainerAdjustmentRequest{
		"a field":     {Pod: &api.PodSandbox{Name: "a\xff"}},
		"a list":      {Container: &api.Container{Env: []string{"A=b", "A=\xff"}}},
		"a map":       {Container: &api.Container{Labels: map[string]string{"a": "\xff"}}},
		"a map's key": {Container: &api.Container{Labels: map[string]string{"\xff": "a"}}},
	} {
		if _, err := (&wire{request: requestLayout()}).marshal(r); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
}

// FuzzSort gives any bytes to what sorts encodings: it must not panic.
func FuzzSort(f *testing.F) {
	b, err := (&wire{request: requestLayout()}).marshal(crowded())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &wire{request: requestLayout()}
		if w.sort(b, w.request) != nil {
			return
		}
		again := bytes.Clone(b)
		if err := w.sort(again, w.request); err != nil || !bytes.Equal(b, again) {
			t.Errorf("sorted again it differs: %v", err)
		}
	})
}
