# METADATA
# title: Annotations that runtimes obey
# description: >-
#   Some annotations are orders: properties of the systemd unit, another handler, plugins
#   or configuration files that the runtime loads, the settings of a sandbox, devices.
#   An order that is changed or taken away is as good as one given. Annotations that are only
#   read by people and tools are let through.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.annotations

import data.nri.lib

deny contains {"change": c.id, "msg": message(c)} if {
	some c in input.changes.annotation
	strings.any_prefix_match(c.key, prefixes)
	not c.granted
}

# CRI-O's newer names: FEATURE.crio.io, or FEATURE.crio.io/CONTAINER.
deny contains {"change": c.id, "msg": message(c)} if {
	some c in input.changes.annotation
	contains(c.key, ".crio.io")
	not c.granted
}

# Where runc keeps the directory of the container.
deny contains {"change": c.id, "msg": message(c)} if {
	some c in input.changes.annotation
	c.key == "bundle"
	not c.granted
}

message(c) := sprintf("container runtimes act on annotation %s; %s", [c.key, lib.lift])

# prefixes: how the names begin, by who obeys them.
prefixes := {
	# The OCI runtimes runc, crun and youki. Most of these they list themselves as
	# potentially unsafe (potentiallyUnsafeConfigAnnotations of "runc features").
	"com.github.containers.virtcontainers.", # Kata Containers, old names
	"krun.", # crun with libkrun
	"module.wasm.image/",
	"org.criu.",
	"org.systemd.property.",
	"run.oci.",
	# Sandboxed runtimes: settings of the virtual machine or of the user-space kernel.
	"aws.firecracker.", # firecracker-containerd
	"dev.gvisor.", # gVisor
	"io.katacontainers.", # Kata Containers
	"io.microsoft.", # hcsshim
	# containerd and CRI-O: which sandbox a container belongs to, and what it may do.
	"io.containerd.",
	"io.containers.", # oci-seccomp-bpf-hook
	"io.kubernetes.cri-o.",
	"io.kubernetes.cri.",
	"io.kubernetes.docker.", # Kata Containers, with dockershim
	"io.kubernetes.sandbox.", # Kata Containers, with dockershim
	"io.podman.annotations.", # podman
	"seccomp-profile.kubernetes.cri-o.io",
	# Profiles of the kernel's security modules, as annotations gave them once.
	"container.apparmor.security.beta.kubernetes.io/",
	"container.seccomp.security.alpha.kubernetes.io/",
	"seccomp.security.alpha.kubernetes.io/",
	# CDI devices by annotation: containerd, CRI-O, NVIDIA's runtime.
	"cdi.k8s.io/",
}
