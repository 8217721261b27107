// Package image makes a container image without a registry: Debian's busybox-static
// in an OCI layout.
package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Name is the image's, in containerd and in Docker.
const Name = "localhost/busybox:e2e"

// Variable is one that the image sets.
const Variable = "FROM_IMAGE=yes"

// applets are the names that busybox is called by.
var applets = []string{"cat", "env", "ls", "mount", "sh", "sleep", "stat", "true"}

// Write writes the image, as a tar of an OCI layout, made of the static busybox at
// the given path. Containers of it sleep.
func Write(w io.Writer, busybox string) error {
	layer, err := rootfs(busybox)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	blob := func(mediaType string, data []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		err = errors.Join(err, file(out, "blobs/sha256/"+d.Digest.Encoded(), 0o644, data))
		return d
	}
	document := func(mediaType string, v any) ocispec.Descriptor {
		data, e := json.Marshal(v)
		err = errors.Join(err, e)
		return blob(mediaType, data)
	}
	version := specs.Versioned{SchemaVersion: 2}
	layerBlob := blob(ocispec.MediaTypeImageLayer, layer)
	config := document(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config:   ocispec.ImageConfig{Cmd: []string{"sleep", "1000000"}, Env: []string{"PATH=/bin", Variable}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layerBlob.Digest}},
	})
	manifest := document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: version, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layerBlob},
	})
	manifest.Annotations = map[string]string{ocispec.AnnotationRefName: "e2e", "io.containerd.image.name": Name}
	index, e := json.Marshal(ocispec.Index{Versioned: version, Manifests: []ocispec.Descriptor{manifest}})
	return errors.Join(err, e,
		file(out, "index.json", 0o644, index),
		file(out, "oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		out.Close())
}

// rootfs is the layer: busybox under its names and the directories that runtimes mount on.
func rootfs(busybox string) ([]byte, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("busybox-static is missing: %w", err)
	}
	var buf bytes.Buffer
	out := tar.NewWriter(&buf)
	for _, d := range []string{"bin", "dev", "etc", "mnt", "proc", "run", "sys", "tmp"} {
		err = errors.Join(err, out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: d + "/", Mode: 0o755}))
	}
	err = errors.Join(err, file(out, "bin/busybox", 0o755, program))
	for _, a := range applets {
		err = errors.Join(err, out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + a, Linkname: "busybox"}))
	}
	err = errors.Join(err, file(out, "etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/sh\n")), out.Close())
	return buf.Bytes(), err
}

func file(w *tar.Writer, name string, mode int64, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}
