//go:build race

package proxy_test

// raced says that the race detector looks on.
const raced = true
