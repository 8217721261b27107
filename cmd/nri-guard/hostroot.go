package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// hostRoot is the value of a flag that says where the host's file system is. It must
// be there: without it no symbolic link would be found, and a request could pass that
// a runtime on that host would deny.
type hostRoot string

func (r *hostRoot) String() string { return string(*r) }
func (r *hostRoot) Type() string   { return "directory" }

func (r *hostRoot) Set(s string) error {
	if !filepath.IsAbs(s) {
		return errors.New("must be an absolute path")
	}
	info, err := os.Stat(s)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", s)
	}
	*r = hostRoot(s)
	return nil
}

func addHostRoot(cmd *cobra.Command) *hostRoot {
	root := hostRoot("/")
	cmd.Flags().Var(&root, "host-root", "absolute path of where the host's file system is, for symbolic links in the sources of mounts")
	_ = cmd.MarkFlagDirname("host-root") // fails only without such a flag
	return &root
}
