package doctor

import "fmt"

// checkDropIns finds drop-ins of containerd's that are of a newer version than the file that
// imports them.
func checkDropIns(n *node) []Finding {
	var all []Finding
	for _, r := range n.runtimes {
		if r.err != nil || len(r.versions) == 0 {
			continue
		}
		root := r.versions[0]
		for _, v := range r.versions[1:] {
			switch {
			case root.version == 0: // the first that says one is what others are held against
				root = v
			case v.version > root.version:
				all = append(all, r.newer(root, v))
			}
		}
	}
	return all
}

func (r *runtime) newer(root, v fileVersion) Finding {
	f := Finding{
		About: r.name, Severity: Weak,
		Summary:  fmt.Sprintf("%s is of a newer version than %s", v.file, root.file),
		Meaning:  "With a drop-in that is newer than the file that imports it, containerd 2.3 does not start, and 2.2 may lose what that file says of CRI. containerd 1.7 starts with no version above 2.",
		Evidence: []string{fmt.Sprintf("%s: version = %d", v.at, v.version), fmt.Sprintf("%s: version = %d", root.at, root.version)},
	}
	if v.ours && root.version >= 2 {
		f.Fix = &Fix{Do: "Give it the version of " + root.file + ": NRI's section is the same in both. Then restart " + r.name,
			File: v.file, Paste: fmt.Sprintf("version = %d", root.version)}
		return f
	}
	f.Fix = &Fix{Do: "Put the drop-in aside, which is in the way of this, and bring " + root.file + " to its version: look through what this writes, have it take the file's place, put the drop-in back, and restart " + r.name,
		Paste: fmt.Sprintf("containerd --config %s config migrate > %s.new", root.file, root.file)}
	return f
}
