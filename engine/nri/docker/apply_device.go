package docker

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// devices are added, replaced and removed one after the other.
func (x *change) devices(list []*api.LinuxDevice) {
	for _, d := range list {
		target, marked := api.IsMarkedForRemoval(d.GetPath())
		switch {
		case !isPlain(target) || path.Clean(target) == "/":
			x.refuse("linux.devices[%s]: no plain absolute path", target)
		case marked:
			x.removeDevice(target)
		default:
			x.addDevice(path.Clean(target), d)
		}
	}
}

// removeDevice does nothing where no such device is mapped, as NRI's generator.
func (x *change) removeDevice(target string) {
	switch {
	case path.Clean(target) != target:
		x.refuse("linux.devices[-%s]: the path must read %s", target, path.Clean(target))
	case x.host.Privileged:
		x.refuse("linux.devices[-%s]: a privileged container has every device", target)
	default:
		x.dropDevice(target)
	}
}

// dropDevice takes a mapping out. One of several devices that are mapped together
// cannot be.
func (x *change) dropDevice(target string) {
	for _, m := range x.host.Devices {
		if strings.HasPrefix(target, path.Clean(m.PathInContainer)+"/") {
			x.refuse("linux.devices[%s]: mapped as a part of %s", target, m.PathInContainer)
			return
		}
	}
	x.host.Devices = slices.DeleteFunc(slices.Clone(x.host.Devices), func(m container.DeviceMapping) bool {
		return path.Clean(m.PathInContainer) == target
	})
}

// addDevice maps a node of this host that is the device. Docker makes the node in the
// container like it, with the same permissions and owner.
func (x *change) addDevice(target string, d *api.LinuxDevice) {
	n, ok := findNode(d)
	switch {
	case !ok:
		x.refuse("linux.devices[%s]: no node below %s is a device of type %q and number %d:%d",
			target, hostDevices, d.GetType(), d.GetMajor(), d.GetMinor())
		return
	case d.GetFileMode() != nil && d.FileMode.Get().Perm() != n.mode:
		x.refuse("linux.devices[%s]: mode %#o, as %s has %#o", target, d.GetFileMode().GetValue(), n.path, n.mode)
	case d.GetUid() != nil && d.GetUid().GetValue() != n.uid, d.GetGid() != nil && d.GetGid().GetValue() != n.gid:
		x.refuse("linux.devices[%s]: another owner than the one of %s, %d:%d", target, n.path, n.uid, n.gid)
	}
	x.dropDevice(target)
	x.host.Devices = append(x.host.Devices, container.DeviceMapping{
		PathOnHost: n.path, PathInContainer: target, CgroupPermissions: d.AccessString(),
	})
}

// deviceRule appends a rule that allows: there are no others. An empty type is "a" to
// OCI runtimes.
func (x *change) deviceRule(r *api.LinuxDeviceCgroup) {
	number := func(n *api.OptionalInt64) string {
		if n == nil {
			return "*"
		}
		return strconv.FormatInt(n.GetValue(), 10)
	}
	kind := r.GetType()
	if kind == "" {
		kind = "a"
	}
	text := fmt.Sprintf("%s %s:%s %s", kind, number(r.GetMajor()), number(r.GetMinor()), r.GetAccess())
	switch {
	case !r.GetAllow():
		x.refuse("linux.resources.devices[%s]: a rule that denies", text)
	case !rulePattern.MatchString(text):
		x.refuse("linux.resources.devices[%s]: a rule reads TYPE MAJOR:MINOR ACCESS", text)
	case !slices.Contains(x.host.DeviceCgroupRules, text):
		x.host.DeviceCgroupRules = append(slices.Clone(x.host.DeviceCgroupRules), text)
	}
}

// cdiName is a device's name, VENDOR/CLASS=NAME (Container Device Interface, "Device
// name").
var cdiName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_.-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*$`)

// cdiDevices become one request; what is requested already stays where it is.
func (x *change) cdiDevices(list []*api.CDIDevice) {
	var names []string
	for _, d := range list {
		name := d.GetName()
		requested := func(r *api.CDIDevice) bool { return r.GetName() == name }
		switch {
		case !cdiName.MatchString(name):
			x.refuse("CDIDevices[%s]: no name of the form VENDOR/CLASS=NAME", name)
		case !slices.Contains(names, name) && !slices.ContainsFunc(cdiDevicesOf(&x.host), requested):
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		x.host.DeviceRequests = append(slices.Clone(x.host.DeviceRequests),
			container.DeviceRequest{Driver: cdiDriver, DeviceIDs: names})
	}
}
