//go:build !race

package wasm_test

const raced = false
