# Short names for the steps of .ci/run.
.PHONY: ci wasm test race lint fuzz rego deploy demo e2e

ci:
	.ci/run

test race lint fuzz rego deploy demo e2e:
	.ci/run $@

# Builds the example validators beside their sources; ".ci/run wasm" compares.
wasm:
	wasm-examples/build.sh
