package nri_test

import (
	"fmt"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/nri"
)

// reference is the request that speed is measured with: 5 mounts, 30 variables,
// 3 plugins.
func reference() *api.ValidateContainerAdjustmentRequest {
	owners := api.NewOwningPlugins()
	req := &api.ValidateContainerAdjustmentRequest{
		Pod:       &api.PodSandbox{Id: "pod", Name: "web-0", Namespace: "shop", Labels: map[string]string{"app": "web"}},
		Container: &api.Container{Id: "c1", PodSandboxId: "pod", Name: "web", Args: []string{"/web"}},
		Adjust:    &api.ContainerAdjustment{Annotations: map[string]string{"shop.example/profile": "fast"}},
		Owners:    owners,
	}
	for i, name := range []string{"mounts", "env", "topology"} {
		req.AddPlugin(name, fmt.Sprintf("%d0", i+1))
	}
	for i := range 10 {
		req.Container.Env = append(req.Container.Env, fmt.Sprintf("SERVICE_%d=10.0.0.%d", i, i))
	}
	for i := range 5 {
		m := &api.Mount{Destination: fmt.Sprintf("/data/%d", i), Type: "bind", Source: fmt.Sprintf("/srv/models/%d", i), Options: []string{"rbind", "ro", "rprivate"}}
		req.Adjust.Mounts = append(req.Adjust.Mounts, m)
		_ = owners.ClaimMount("c1", m.Destination, "10-mounts")
		req.Container.Mounts = append(req.Container.Mounts, &api.Mount{Destination: fmt.Sprintf("/kept/%d", i), Type: "tmpfs", Source: "tmpfs"})
	}
	for i := range 30 {
		e := &api.KeyValue{Key: fmt.Sprintf("MODEL_SETTING_%d", i), Value: fmt.Sprintf("value of setting %d", i)}
		req.Adjust.Env = append(req.Adjust.Env, e)
		_ = owners.ClaimEnv("c1", e.Key, "20-env")
	}
	return req
}

// BenchmarkAdjustment measures the way from NRI's message to a review.
func BenchmarkAdjustment(b *testing.B) {
	border := &nri.Border{}
	req := reference()
	b.ReportAllocs()
	for b.Loop() {
		if r := border.Adjustment(req); len(r.Malformed) > 0 {
			b.Fatal(r.Malformed)
		}
	}
}
