package guest

import (
	"iter"
	"strings"
)

// Mount is a mount.
type Mount struct{ Message }

func asMount(m Message) Mount { return Mount{m} }

// Destination is where in the container it is mounted.
func (m Mount) Destination() string { return m.Text(1) }

// Type is the file system's, as a plugin wrote it; the options decide what is a bind
// mount.
func (m Mount) Type() string { return m.Text(2) }

// Source is what is mounted, as a plugin wrote it.
func (m Mount) Source() string { return m.Text(3) }

// Options in their order.
func (m Mount) Options() iter.Seq[string] { return m.Texts(4) }

// ReadOnly says that nothing can be written through the mount itself. The options are
// read in order, as the OCI runtime does: the last word wins, recursive attributes
// (rro, rrw) come after all others. Options that are glued together with commas can
// only make a mount writable.
func (m Mount) ReadOnly() bool {
	readOnly, recursive := false, ""
	for option := range m.Options() {
		switch option {
		case "ro":
			readOnly = true
		case "rro":
			recursive = option
		}
		for word := range strings.SplitSeq(option, ",") {
			switch word {
			case "rw":
				readOnly = false
			case "rrw":
				recursive = word
			}
		}
	}
	return recursive == "rro" || readOnly && recursive == ""
}
