package validate

import (
	"fmt"
	"slices"
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// objects are what a kustomization gives, by kind. There is one of each.
type objects map[string]any

// build runs kustomize and reads what it gives strictly into Kubernetes' own types.
func build(t *testing.T, dir string) objects {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := objects{
		"Namespace": &core.Namespace{}, "ServiceAccount": &core.ServiceAccount{}, "ConfigMap": &core.ConfigMap{},
		"DaemonSet":                        &apps.DaemonSet{},
		"ValidatingAdmissionPolicy":        &admission.ValidatingAdmissionPolicy{},
		"ValidatingAdmissionPolicyBinding": &admission.ValidatingAdmissionPolicyBinding{},
	}
	seen := map[string]bool{}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		into, ok := found[r.GetKind()]
		if !ok || seen[r.GetKind()] {
			t.Fatalf("one %s too many", r.GetKind())
		}
		seen[r.GetKind()] = true
		if err := yaml.UnmarshalStrict(text, into, yaml.DisallowUnknownFields); err != nil {
			t.Errorf("%s: %v", r.GetKind(), err)
		}
	}
	for kind := range found {
		if !seen[kind] {
			t.Errorf("no %s", kind)
		}
	}
	return found
}

// TestDaemonSet holds what the guard's pod has to have, and what it must not.
func TestDaemonSet(t *testing.T) {
	for _, dir := range []string{"../kubernetes/proxy", "../kubernetes/both"} {
		t.Run(dir, func(t *testing.T) {
			found := build(t, dir)
			d := found["DaemonSet"].(*apps.DaemonSet)
			pod := d.Spec.Template.Spec
			c := pod.Containers[0]
			s := c.SecurityContext
			for what, holds := range map[string]bool{
				"its selector selects it":                    d.Spec.Selector.MatchLabels["app.kubernetes.io/name"] == d.Spec.Template.Labels["app.kubernetes.io/name"],
				"it is in the namespace that allows it":      d.Namespace == found["Namespace"].(*core.Namespace).Name,
				"it has the service account that is there":   pod.ServiceAccountName == found["ServiceAccount"].(*core.ServiceAccount).Name,
				"it sees the node's processes":               pod.HostPID,
				"it has one container":                       len(pod.Containers) == 1 && len(pod.InitContainers) == 0,
				"it is not evicted":                          pod.PriorityClassName == "system-node-critical",
				"it is on every node":                        len(pod.Tolerations) == 1 && pod.Tolerations[0].Operator == core.TolerationOpExists && pod.Tolerations[0].Key == "",
				"no token of Kubernetes is in it":            pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken,
				"its image is the project's":                 c.Image == "nri-guard:latest",
				"it is not privileged":                       s.Privileged != nil && !*s.Privileged && !*s.AllowPrivilegeEscalation,
				"its file system is read-only":               *s.ReadOnlyRootFilesystem,
				"it has the capabilities that it needs":      fmt.Sprint(s.Capabilities.Drop, s.Capabilities.Add) == "[ALL] [SYS_PTRACE DAC_READ_SEARCH CHOWN]",
				"its calls are filtered":                     s.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault,
				"its mounts have volumes":                    mountsHaveVolumes(pod),
				"its configuration is the one generated":     volume(pod, "config").ConfigMap.Name == found["ConfigMap"].(*core.ConfigMap).Name,
				"its files are where the configuration says": configured(t, found["ConfigMap"].(*core.ConfigMap), pod),
			} {
				if !holds {
					t.Errorf("not so: %s", what)
				}
			}
		})
	}
}

func mountsHaveVolumes(pod core.PodSpec) bool {
	for _, m := range pod.Containers[0].VolumeMounts {
		if volume(pod, m.Name) == nil {
			return false
		}
	}
	return len(pod.Containers[0].VolumeMounts) == len(pod.Volumes)
}

func volume(pod core.PodSpec, name string) *core.Volume {
	for i, v := range pod.Volumes {
		if v.Name == name {
			return &pod.Volumes[i]
		}
	}
	return nil
}

// configured says whether what the guard's configuration names is in the pod: where the
// node has it, so that the guard, the runtime and "nri-guard doctor" speak of the same.
func configured(t *testing.T, m *core.ConfigMap, pod core.PodSpec) bool {
	t.Helper()
	var c struct {
		Runtime struct{ Socket, HostRoot string }
		Audit   struct{ Path string }
	}
	if err := yaml.Unmarshal([]byte(m.Data["config.yaml"]), &c); err != nil {
		t.Error(err)
	}
	at := map[string]string{} // of the node, by where the pod has it
	for _, mount := range pod.Containers[0].VolumeMounts {
		if v := volume(pod, mount.Name); v.HostPath != nil {
			at[mount.MountPath] = v.HostPath.Path
		}
	}
	return c.Runtime.Socket == "/run/nri-runtime/nri.sock" && at["/run/nri-runtime"] == "/run/nri-runtime" &&
		at["/var/run/nri"] == "/var/run/nri" && at[c.Runtime.HostRoot] == "/" &&
		c.Audit.Path == "/var/log/nri-guard/decisions.ndjson" && at["/var/log/nri-guard"] == "/var/log/nri-guard" &&
		slices.Contains(pod.Containers[0].Args, "/etc/nri-guard/config.yaml")
}
