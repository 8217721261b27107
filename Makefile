# Short names for the steps of .ci/run.
.PHONY: ci test race lint fuzz rego demo e2e

ci:
	.ci/run

test race lint fuzz rego demo e2e:
	.ci/run $@
