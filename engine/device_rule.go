package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// covers says whether everything that v allows is allowed by d. A rule that
// denies is covered by nothing: taking access away may disable a device that a
// container relies on.
func (d *DeviceRule) covers(v *DeviceRule) bool {
	number := func(allowed, asked *int64) bool {
		return allowed == nil || asked != nil && *allowed == *asked
	}
	return v.Allow && d.Allow && d.Type == v.Type &&
		number(d.Major, v.Major) && number(d.Minor, v.Minor) &&
		strings.Trim(v.Access, d.Access) == ""
}

// parseDeviceRule reads the notation of the device cgroup, "c 195:* rw".
func parseDeviceRule(s string) (*DeviceRule, error) {
	bad := fmt.Errorf("device rule %q must read TYPE MAJOR:MINOR ACCESS, as in \"c 195:* rw\"", s)
	parts := strings.Fields(s)
	if len(parts) != 3 || !slices.Contains([]string{"a", "b", "c"}, parts[0]) || strings.Trim(parts[2], "rwm") != "" {
		return nil, bad
	}
	rule := &DeviceRule{Allow: true, Type: parts[0], Access: parts[2]}
	major, minor, ok := strings.Cut(parts[1], ":")
	if !ok {
		return nil, bad
	}
	for _, n := range []struct {
		text string
		to   **int64
	}{{major, &rule.Major}, {minor, &rule.Minor}} {
		if n.text == "*" {
			continue
		}
		v, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil {
			return nil, bad
		}
		*n.to = &v
	}
	return rule, nil
}
