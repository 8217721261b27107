package docker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// Container returns the container as NRI's plugins are to see it, with everything
// that Docker's API knows and NRI has a field for. It shares no memory with c,
// whose Config and HostConfig may be nil.
//
// Not shown is what only the daemon's own configuration tells (default limits,
// default cgroup parent), or what Docker mounts and sets up in every container.
// Devices are looked up on this host; one that is not there has no type.
//
// An error says which settings are malformed: Docker would refuse to start such a
// container.
func Container(c *container.InspectResponse) (*api.Container, error) {
	config, host := settings(c)
	state := c.State
	if state == nil {
		state = &container.State{}
	}
	mounts, mountErr := mountsOf(config, host, c.Mounts)
	linux, linuxErr := linuxOf(c)
	created, createdErr := nanoseconds("Created", c.Created)
	started, startedErr := nanoseconds("State.StartedAt", state.StartedAt)
	finished, finishedErr := nanoseconds("State.FinishedAt", state.FinishedAt)
	if err := errors.Join(mountErr, linuxErr, createdErr, startedErr, finishedErr); err != nil {
		return nil, fmt.Errorf("container %s cannot be shown to plugins: %w", cmp.Or(c.ID, c.Name), err)
	}
	return &api.Container{
		Id:            c.ID,
		PodSandboxId:  c.ID,
		Name:          nameOf(c),
		State:         stateOf(c.State),
		Labels:        maps.Clone(config.Labels),
		Annotations:   maps.Clone(host.Annotations),
		Args:          argsOf(c),
		Env:           envOf(config.Env),
		Mounts:        sortedMounts(mounts),
		Linux:         linux,
		Pid:           uint32(max(state.Pid, 0)),
		Rlimits:       rlimitsOf(host),
		CreatedAt:     created,
		StartedAt:     started,
		FinishedAt:    finished,
		ExitCode:      int32(state.ExitCode),
		StatusReason:  reasonOf(state),
		StatusMessage: state.Error,
		CDIDevices:    cdiDevicesOf(host),
		User:          userOf(config.User, host.GroupAdd),
		Image:         imageOf(c, config),
	}, nil
}

// settings returns Config and HostConfig, empty ones where there are none.
func settings(c *container.InspectResponse) (*container.Config, *container.HostConfig) {
	return cmp.Or(c.Config, &container.Config{}), cmp.Or(c.HostConfig, &container.HostConfig{})
}

// nameOf leaves out the slash that Docker begins names with.
func nameOf(c *container.InspectResponse) string { return strings.TrimPrefix(c.Name, "/") }

// stateOf calls a container created that has no state yet, and stopped one that
// waits to be restarted: it has no process.
func stateOf(s *container.State) api.ContainerState {
	if s == nil {
		return api.ContainerState_CONTAINER_CREATED
	}
	switch s.Status {
	case container.StateCreated:
		return api.ContainerState_CONTAINER_CREATED
	case container.StateRunning:
		return api.ContainerState_CONTAINER_RUNNING
	case container.StatePaused:
		return api.ContainerState_CONTAINER_PAUSED
	case container.StateRestarting, container.StateRemoving, container.StateExited, container.StateDead:
		return api.ContainerState_CONTAINER_STOPPED
	}
	return api.ContainerState_CONTAINER_UNKNOWN
}

// reasonOf uses the word that Kubernetes' runtimes use.
func reasonOf(s *container.State) string {
	if s.OOMKilled {
		return "OOMKilled"
	}
	return ""
}

// nanoseconds since 1970, or 0 where Docker has no time: it then says nothing or
// the year 1.
func nanoseconds(field, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", field, err)
	}
	if t.IsZero() {
		return 0, nil
	}
	return t.UnixNano(), nil
}

// argsOf is the entry point followed by the command. Path and Args, which Docker
// makes of the two, are looked at where there are neither.
func argsOf(c *container.InspectResponse) []string {
	config, _ := settings(c)
	if args := slices.Concat(config.Entrypoint, config.Cmd); len(args) > 0 {
		return args
	}
	if c.Path == "" {
		return nil
	}
	return append([]string{c.Path}, c.Args...)
}

// envOf leaves out names without an equals sign, by which Docker is told not to
// set a variable. Of several entries for one name the last is what OCI runtimes
// give to the process.
func envOf(env []string) []string {
	var shown []string
	for i, entry := range env {
		name, _, ok := strings.Cut(entry, "=")
		again := func(later string) bool { return strings.HasPrefix(later, name+"=") }
		if ok && !slices.ContainsFunc(env[i+1:], again) {
			shown = append(shown, entry)
		}
	}
	return shown
}

// userOf reads USER[:GROUP] where it is given in numbers; names can be resolved
// only inside the image. Without a group Docker takes the one that the image's
// passwd has for the user, or else 0, which is what is shown.
func userOf(user string, groups []string) *api.User {
	name, group, _ := strings.Cut(user, ":")
	uid, err := strconv.ParseUint(cmp.Or(name, "0"), 10, 32)
	if err != nil {
		return nil
	}
	gid, err := strconv.ParseUint(cmp.Or(group, "0"), 10, 32)
	if err != nil {
		return nil
	}
	u := &api.User{Uid: uint32(uid), Gid: uint32(gid)}
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			u.AdditionalGids = append(u.AdditionalGids, uint32(id))
		}
	}
	return u
}

// imageOf tells the two image stores of Docker's apart: with containerd's there is
// a manifest, and an image's id is the digest of a manifest or index; otherwise it
// is the digest of the image's configuration.
func imageOf(c *container.InspectResponse, config *container.Config) *api.Image {
	if config.Image == "" && c.Image == "" {
		return nil
	}
	if c.ImageManifestDescriptor != nil {
		return &api.Image{Name: config.Image, Digest: cmp.Or(c.Image, c.ImageManifestDescriptor.Digest.String())}
	}
	return &api.Image{Name: config.Image, ConfigDigest: c.Image}
}

func rlimitsOf(host *container.HostConfig) []*api.POSIXRlimit {
	var limits []*api.POSIXRlimit
	for i, u := range host.Ulimits {
		again := func(later *container.Ulimit) bool { return later != nil && later.Name == u.Name }
		if u == nil || slices.ContainsFunc(host.Ulimits[i+1:], again) {
			continue
		}
		// Docker's -1 is the kernel's highest number, as in two's complement.
		limits = append(limits, &api.POSIXRlimit{
			Type: rlimitPrefix + strings.ToUpper(u.Name), Hard: uint64(u.Hard), Soft: uint64(u.Soft),
		})
	}
	return limits
}

// cdiDriver is Docker's name for the driver of devices that are named as the
// Container Device Interface does.
const cdiDriver = "cdi"

func cdiDevicesOf(host *container.HostConfig) []*api.CDIDevice {
	var devices []*api.CDIDevice
	for _, r := range host.DeviceRequests {
		if r.Driver != cdiDriver {
			continue
		}
		for _, name := range r.DeviceIDs {
			devices = append(devices, &api.CDIDevice{Name: name})
		}
	}
	return devices
}
