// Command nri-guard judges what NRI plugins ask of a container runtime, by policies in
// Rego and WebAssembly. See the README for what it is for; nri-guard help lists what it
// does.
//
// This package is the only one that wires: a file for each subcommand, and the
// configuration file that they share.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
