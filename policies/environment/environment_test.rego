package nri.policies.environment_test

import data.nri.lib_test as t
import data.nri.policies.environment

variable(name) := t.change("env", {"key": name, "value": "x"})

unset(name) := t.removal("env", {"key": name, "old": "x"})

stopped := object.union(
	{name: variable(name) |
		some name in [
			"LD_PRELOAD",
			"LD_AUDIT",
			"LD_LIBRARY_PATH",
			"GCONV_PATH",
			"GLIBC_TUNABLES",
			"PATH",
			"BASH_ENV",
			"BASH_FUNC_ls%%",
			"ENV",
			"PROMPT_COMMAND",
			"PYTHONSTARTUP",
			"PYTHONPATH",
			"PERL5OPT",
			"RUBYOPT",
			"NODE_OPTIONS",
			"NPM_CONFIG_SCRIPT_SHELL",
			"Npm_Config_Script-Shell",
			"npm_config_git",
			"npm_config_userconfig",
			"JAVA_TOOL_OPTIONS",
			"_JAVA_OPTIONS",
			"CLASSPATH",
			"LUA_PATH",
			"LUA_CPATH_5_4",
			"PHPRC",
			"DOTNET_STARTUP_HOOKS",
			"CORECLR_PROFILER_PATH_64",
			"R_PROFILE_USER",
			"GIT_SSH_COMMAND",
			"GIT_CONFIG_COUNT",
			"SSH_ASKPASS",
			"LESSOPEN",
			"AWS_CONFIG_FILE",
			"GCC_EXEC_PREFIX",
			"GOENV",
			"INPUTRC",
			"KUBECTL_EXTERNAL_DIFF",
			"SHELL",
			"ES_JAVA_OPTS",
			"HADOOP_OPTS",
			"LOADER_PATH",
			"SPARK_SUBMIT_OPTS",
			"CLOUDSDK_PYTHON",
			"GUNICORN_CMD_ARGS",
			"PSModulePath",
			"FI_PROVIDER_PATH",
			"GI_TYPELIB_PATH",
			"INTEL_LIBITTNOTIFY64",
			"LIBMYSQL_PLUGINS",
			"OMPI_MCA_plm_rsh_agent",
			"TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
			"UCX_MODULE_DIR",
			"UWSGI_PLUGIN",
			"ZE_ENABLE_ALT_DRIVERS",
			"KUBECONFIG",
			"OPENSSL_CONF",
			"VK_ICD_FILENAMES",
			"NVIDIA_VISIBLE_DEVICES",
			"NVIDIA_DRIVER_CAPABILITIES",
			"NVIDIA_REQUIRE_CUDA",
			"CUDA_VERSION",
			"AMD_VISIBLE_DEVICES",
			"HABANA_VISIBLE_DEVICES",
			"SYSBOX_SKIP_UID_SHIFT",
		]
	},
	{
		"replaced": object.union(variable("LD_DEBUG"), {"op": "replace"}),
		"an order to a hook taken away": unset("NVIDIA_REQUIRE_DRIVER"),
	},
)

passed := object.union(
	{name: variable(name) |
		some name in [
			"APP_MODE",
			"HTTP_PROXY",
			"HOME",
			"TZ",
			"LANG",
			"LC_ALL",
			"TMPDIR",
			"OLD_PATH",
			"PATHS",
			"MY_LD_PRELOAD",
			"ld_preload",
			"LD",
			"ENVIRONMENT",
			"PYTHONUNBUFFERED",
			"PYTHONDONTWRITEBYTECODE",
			"NODE_ENV",
			"NPM_TOKEN",
			"NPM_CONFIG_REGISTRY",
			"npm_config_cache",
			"npm_config_git_tag_version",
			"XNPM_CONFIG_GIT",
			"JAVA_VERSION",
			"DOTNET_gcServer",
			"GIT_COMMIT",
			"GIT_AUTHOR_NAME",
			"GOMAXPROCS",
			"AWS_REGION",
			"HADOOP_HOME",
			"UCX_TLS",
			"OMP_NUM_THREADS",
			"CUDA_VISIBLE_DEVICES",
			"NVIDIA",
			"SSL_CERT_FILE",
		]
	},
	{
		"unset, of the loader": unset("LD_AUDIT"),
		"unset, of an interpreter": unset("PYTHONSTARTUP"),
		"unset, of npm": unset("npm_config_git"),
		"unset, of nobody": unset("APP_MODE"),
	},
)

test_stops[note] if {
	some note, c in stopped
	t.ids(environment.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(environment.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(environment.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(environment.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(environment.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	environment.deny == set() with input as t.review([])
}

# The value is a secret, perhaps: it is in no message.
test_messages if {
	{e.msg | some e in environment.deny} == {
		"variable LD_PRELOAD makes programs load or run other code; if this is meant, grant it in the configuration",
		concat("", [
			"variable NVIDIA_VISIBLE_DEVICES is an order to a hook that adds devices of the host; ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([variable("LD_PRELOAD"), variable("NVIDIA_VISIBLE_DEVICES")])
}

# No name is in a list twice, so that no change is objected to twice.
test_lists_are_disjoint if {
	every name in environment.code.names {
		not strings.any_prefix_match(name, environment.code.prefixes)
		not strings.any_prefix_match(name, environment.hooks.prefixes)
	}
	every name in environment.hooks.names {
		not strings.any_prefix_match(name, environment.hooks.prefixes)
		not strings.any_prefix_match(name, environment.code.prefixes)
	}
	every name in environment.npm {
		not strings.any_prefix_match(name, environment.code.prefixes | environment.hooks.prefixes)
	}
	count(environment.code.names & environment.hooks.names) == 0
	count((environment.code.names | environment.hooks.names) & environment.npm) == 0
}
