// Package e2e proves the guard on real container runtimes: containerd and dockerd
// as they are released, containers that really run, plugins that know nothing of the
// guard. The tests know the guard by its program alone.
//
//	make e2e
//
// They need root and Debian, install what is missing, and build the runtimes once,
// which takes minutes. Everything runs isolated; see the package isolate.
//
// Without root the tests are skipped, except where NRI_GUARD_E2E is set to required.
package e2e
