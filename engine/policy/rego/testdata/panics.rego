package nri.policies.panics

deny contains "no" if data.nri.config.a == "c"
