package rego

import (
	"io/fs"
	"testing/fstest"
)

// library is a library with one policy, p.
func library(body string) fs.FS {
	return fstest.MapFS{"p/p.rego": {Data: []byte("package nri.policies.p\n\n" + body + "\n")}}
}
