// Package oci applies an approved adjustment to an OCI runtime spec.
//
// What an adjustment means is defined by NRI's own spec generator
// (pkg/runtime-tools/generate), which containerd and CRI-O use as well, so
// [Apply] runs that generator and adds three things to it:
//
//   - All or nothing. The generator works on a copy, which replaces the spec
//     only when every part of the adjustment could be applied.
//   - No silence. The generator skips CDI devices, block I/O classes and RDT
//     classes when it has nobody to resolve them; here that is an error.
//   - No crash. Malformed entries that make the generator panic are an error.
//
// The generator leaves some methods to a lower one, for which runtimes commonly
// use github.com/opencontainers/runtime-tools; this package has its own, with
// the same behaviour: removing takes away the first match only, adding a
// variable, device, namespace or huge page limit that exists replaces it where
// it stands, mounts and device rules are appended.
package oci
