// Package validate holds what is in deploy against the programs that read it: containerd's
// own loader, Docker's own options, kustomize, the parsers of Kubernetes' and Docker's
// formats, and the API server's own evaluation of admission policies. It is a module of its
// own, so that none of these becomes a dependency of the guard.
//
// systemd's units are checked by systemd-analyze, in .ci/run.
package validate
