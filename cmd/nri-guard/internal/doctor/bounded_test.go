package doctor

import "testing"

func TestBounded(t *testing.T) {
	for name, c := range map[string]struct {
		said []string
		want string // what took it away
	}{
		"nothing said":          {nil, ""},
		"in the set":            {[]string{"CAP_CHOWN CAP_SYS_PTRACE"}, ""},
		"not in the set":        {[]string{"CAP_CHOWN"}, "CAP_CHOWN"},
		"sets add up":           {[]string{"CAP_SYS_PTRACE", "CAP_CHOWN"}, ""},
		"in the second":         {[]string{"CAP_CHOWN", "CAP_SYS_PTRACE"}, ""},
		"emptied":               {[]string{"CAP_SYS_PTRACE", ""}, ""},
		"emptied and set anew":  {[]string{"CAP_CHOWN", "", "CAP_SYS_PTRACE"}, ""},
		"another is taken out":  {[]string{"~CAP_CHOWN"}, ""},
		"it is taken out":       {[]string{"CAP_SYS_PTRACE", "~CAP_CHOWN CAP_SYS_PTRACE"}, "~CAP_CHOWN CAP_SYS_PTRACE"},
		"everything is back":    {[]string{"CAP_CHOWN", "~"}, ""},
		"a name that is longer": {[]string{"CAP_SYS_PTRACED"}, "CAP_SYS_PTRACED"},
	} {
		b := bounded{name: "CAP_SYS_PTRACE", left: true}
		for _, said := range c.said {
			b.take(setting{said, said})
		}
		wantLeft := c.want == "" && name != "emptied" // by what is empty
		if b.left != wantLeft || !b.left && b.at != c.want {
			t.Errorf("%s: left %t, taken away by %q, want %q", name, b.left, b.at, c.want)
		}
	}
}
