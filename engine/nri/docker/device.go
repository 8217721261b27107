package docker

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// hostDevices is where the nodes of this host's devices are.
const hostDevices = "/dev"

// node is what the file system says of a device.
type node struct {
	path, kind   string
	major, minor int64
	mode         fs.FileMode
	uid, gid     uint32
}

// nodeAt follows symbolic links and returns false for what is no device.
func nodeAt(name string) (node, bool) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return node{}, false
	}
	n := node{
		path: name, uid: st.Uid, gid: st.Gid, mode: fs.FileMode(st.Mode).Perm(),
		major: int64(unix.Major(uint64(st.Rdev))), minor: int64(unix.Minor(uint64(st.Rdev))),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		n.kind = "c"
	case unix.S_IFBLK:
		n.kind = "b"
	default:
		return node{}, false
	}
	return n, true
}

// nodesBelow goes through the devices in a directory in the order of their names,
// until visit returns false. What cannot be read is passed over.
func nodesBelow(directory string, visit func(node) bool) {
	_ = filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeDevice == 0 {
			return nil
		}
		if n, ok := nodeAt(name); ok && !visit(n) {
			return fs.SkipAll
		}
		return nil
	})
}

// findNode looks for a node of the host for the device, first under the path that
// it has in the container.
func findNode(d *api.LinuxDevice) (node, bool) {
	same := func(n node) bool {
		return n.kind == d.GetType() && n.major == d.GetMajor() && n.minor == d.GetMinor()
	}
	if n, ok := nodeAt(d.GetPath()); ok && same(n) {
		return n, true
	}
	var found node
	nodesBelow(hostDevices, func(n node) bool {
		if same(n) {
			found = n
		}
		return found.path == ""
	})
	return found, found.path != ""
}

// devicesOf looks up what Docker maps into the container, and the rules for the
// device cgroup that it adds for that.
func devicesOf(mappings []container.DeviceMapping) ([]*api.LinuxDevice, []*api.LinuxDeviceCgroup) {
	var devices []*api.LinuxDevice
	var rules []*api.LinuxDeviceCgroup
	for _, m := range mappings {
		nodes := mapped(m)
		if len(nodes) == 0 {
			devices = append(devices, &api.LinuxDevice{Path: path.Clean(m.PathInContainer)})
		}
		for _, n := range nodes {
			devices = append(devices, &api.LinuxDevice{
				Path: n.path, Type: n.kind, Major: n.major, Minor: n.minor,
				FileMode: api.FileMode(n.mode), Uid: api.UInt32(n.uid), Gid: api.UInt32(n.gid),
			})
			rules = append(rules, &api.LinuxDeviceCgroup{
				Allow: true, Type: n.kind, Major: api.Int64(n.major), Minor: api.Int64(n.minor), Access: m.CgroupPermissions,
			})
		}
	}
	return devices, rules
}

// mapped returns the nodes that one mapping stands for, with their paths in the
// container: Docker maps a directory with every device in it.
func mapped(m container.DeviceMapping) []node {
	onHost, err := filepath.EvalSymlinks(m.PathOnHost)
	if err != nil {
		return nil
	}
	if n, ok := nodeAt(onHost); ok {
		n.path = path.Clean(m.PathInContainer)
		return []node{n}
	}
	var nodes []node
	nodesBelow(onHost, func(n node) bool {
		n.path = path.Join(m.PathInContainer, strings.TrimPrefix(n.path, onHost))
		nodes = append(nodes, n)
		return true
	})
	return nodes
}

// rulePattern is the notation of rules in Docker's settings: type, numbers, access.
var rulePattern = regexp.MustCompile(`^([abc]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$`)

// rulesOf reads rules for the device cgroup; Docker has none that forbid.
func rulesOf(rules []string) ([]*api.LinuxDeviceCgroup, error) {
	var out []*api.LinuxDeviceCgroup
	for _, text := range rules {
		parts := rulePattern.FindStringSubmatch(text)
		if parts == nil {
			return nil, fmt.Errorf("HostConfig.DeviceCgroupRules: %q does not read TYPE MAJOR:MINOR ACCESS", text)
		}
		rule := &api.LinuxDeviceCgroup{Allow: true, Type: parts[1], Access: parts[4]}
		for i, to := range []**api.OptionalInt64{&rule.Major, &rule.Minor} {
			if number := parts[2+i]; number != "*" {
				n, err := strconv.ParseInt(number, 10, 64)
				if err != nil {
					return nil, fmt.Errorf("HostConfig.DeviceCgroupRules: %q: %w", text, err)
				}
				*to = api.Int64(n)
			}
		}
		out = append(out, rule)
	}
	return out, nil
}
