package proxy

import (
	"path"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

// hidden is what a plugin sees instead of a value. It is no longer than what it
// stands for, as the runtime cuts its messages to what fits.
const hidden = "*"

func (r Redact) empty() bool { return len(r.Env) == 0 && len(r.Annotations) == 0 }

// hide replaces the values that a plugin is not to see in a request, and says
// whether there were any.
func (r Redact) hide(request proto.Message) bool {
	found := false
	if m, ok := request.(interface{ GetPod() *api.PodSandbox }); ok {
		found = r.annotations(m.GetPod().GetAnnotations()) || found
	}
	if m, ok := request.(interface{ GetContainer() *api.Container }); ok {
		found = r.container(m.GetContainer()) || found
	}
	switch m := request.(type) {
	case *api.SynchronizeRequest:
		for _, pod := range m.GetPods() {
			found = r.annotations(pod.GetAnnotations()) || found
		}
		for _, c := range m.GetContainers() {
			found = r.container(c) || found
		}
	case *api.ValidateContainerAdjustmentRequest:
		found = r.adjustment(m.GetAdjust()) || found
	}
	return found
}

func (r Redact) container(c *api.Container) bool {
	found := r.annotations(c.GetAnnotations())
	found = r.environment(c.GetEnv()) || found
	return r.hooks(c.GetHooks()) || found
}

func (r Redact) adjustment(a *api.ContainerAdjustment) bool {
	found := r.annotations(a.GetAnnotations())
	for _, e := range a.GetEnv() {
		if e.GetValue() != "" && matches(r.Env, api.ClearRemovalMarker(e.GetKey())) {
			e.Value = hidden
			found = true
		}
	}
	return r.hooks(a.GetHooks()) || found
}

func (r Redact) hooks(h *api.Hooks) bool {
	found := false
	for _, stage := range [][]*api.Hook{
		h.GetPrestart(), h.GetCreateRuntime(), h.GetCreateContainer(),
		h.GetStartContainer(), h.GetPoststart(), h.GetPoststop(),
	} {
		for _, hook := range stage {
			found = r.environment(hook.GetEnv()) || found
		}
	}
	return found
}

func (r Redact) annotations(m map[string]string) bool {
	found := false
	for name, value := range m {
		if value != "" && matches(r.Annotations, api.ClearRemovalMarker(name)) {
			m[name] = hidden
			found = true
		}
	}
	return found
}

// environment goes through entries of the form NAME=value.
func (r Redact) environment(env []string) bool {
	found := false
	for i, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && matches(r.Env, name) {
			env[i] = name + "=" + hidden
			found = true
		}
	}
	return found
}

// matches compares with stars that cross slashes: most annotations have one.
func matches(patterns []string, name string) bool {
	const slash = "\x00" // path.Match stops its stars at slashes only
	name = strings.ReplaceAll(name, "/", slash)
	for _, p := range patterns {
		if ok, _ := path.Match(strings.ReplaceAll(p, "/", slash), name); ok { // checked when the configuration was read
			return true
		}
	}
	return false
}
