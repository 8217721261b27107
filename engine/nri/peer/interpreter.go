package peer

import (
	"path"
	"strings"
)

// interpreters run what they are told, by the names that their files begin with,
// but for version numbers.
var interpreters = []string{
	"sh", "ash", "bash", "dash", "ksh", "zsh", "fish", "busybox", "toybox",
	"python", "pypy", "perl", "ruby", "node", "nodejs", "deno", "bun", "lua", "luajit", "php", "tclsh",
	"java", "dotnet", "mono", "guile", "awk", "gawk", "mawk",
	"env", "qemu-x86_64", "qemu-aarch64", "wasmtime",
}

// Interpreter says whether an executable is one that runs what it is told, as far
// as its name tells: a shell, an interpreter, the dynamic loader. Its digest says
// nothing of what it runs, and an identity that demands it proves little.
func Interpreter(exe string) bool {
	name := path.Base(strings.TrimSuffix(exe, " (deleted)"))
	if strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "ld-musl") || strings.HasPrefix(name, "ld.so") ||
		strings.HasPrefix(name, "ld-2.") {
		return true
	}
	name = strings.TrimRight(name, "0123456789.-")
	name = strings.TrimSuffix(name, "-static")
	for _, i := range interpreters {
		if name == i {
			return true
		}
	}
	return false
}
