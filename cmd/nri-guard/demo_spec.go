package main

import (
	"github.com/containerd/nri/pkg/api"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// demoSpec is the spec of a container that the orchestrator wants, on which the
// named plugin is told to act.
func demoSpec(plugin string) *rspec.Spec {
	spec := &rspec.Spec{
		Version: rspec.Version,
		Process: &rspec.Process{
			Args: []string{"/app/server"},
			Env:  []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"},
			Cwd:  "/",
		},
		Root:   &rspec.Root{Path: "rootfs"},
		Mounts: []rspec.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux: &rspec.Linux{
			CgroupsPath: "/demo",
			Namespaces:  []rspec.LinuxNamespace{{Type: rspec.PIDNamespace}, {Type: rspec.MountNamespace}},
		},
	}
	if plugin != "" {
		spec.Annotations = map[string]string{demoAnnotation: plugin}
	}
	return spec
}

// demoContainer is the container as NRI is shown it.
func demoContainer(name string, pod *api.PodSandbox, spec *rspec.Spec) *api.Container {
	return &api.Container{
		Id:           name,
		PodSandboxId: pod.GetId(),
		Name:         name,
		State:        api.ContainerState_CONTAINER_CREATED,
		Annotations:  spec.Annotations,
		Args:         spec.Process.Args,
		Env:          spec.Process.Env,
		Mounts:       api.FromOCIMounts(spec.Mounts),
		Linux: &api.LinuxContainer{
			CgroupsPath: spec.Linux.CgroupsPath,
			Namespaces:  api.FromOCILinuxNamespaces(spec.Linux.Namespaces),
		},
	}
}
