package proxy

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
)

// Where NRI looks by default there need be nothing; a directory that somebody has named
// is there.
func TestDirectoriesThatAreNotThere(t *testing.T) {
	for dir, want := range map[string]string{
		adaptation.DefaultPluginPath:          "",
		filepath.Join(t.TempDir(), "plugins"): "no such file or directory",
	} {
		p := &Proxy{cfg: Config{Launch: Launch{Path: dir}}}
		if _, err := p.discover(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
