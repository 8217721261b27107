# METADATA
# title: Environment that makes programs run other code
# description: >-
#   Some variables are read by the dynamic loader, the C library, an interpreter or a common tool,
#   and name code that it then loads or runs, or options in which code can be named. Others are
#   orders to a hook of the host, which adds devices and the host's drivers to the container.
#   Taking one of the first kind away does no harm; taking one of the second kind away can
#   turn "no devices" into "all devices".
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.environment

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some name in dangerous
	c := input.changes.env[name]
	c.op != "remove"
	not c.granted
	msg := sprintf("variable %s makes programs load or run other code; %s", [c.key, lib.lift])
}

# npm takes the names of its options in any case, and - for _. Most reviews are told by
# two letters.
deny contains {"change": c.id, "msg": msg} if {
	strings.any_prefix_match(names, {"NP", "Np", "nP", "np"})
	some name in names
	replace(lower(name), "-", "_") in npm
	c := input.changes.env[name]
	c.op != "remove"
	not c.granted
	msg := sprintf("variable %s makes npm run other code; %s", [c.key, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some name in orders
	c := input.changes.env[name]
	not c.granted
	msg := sprintf("variable %s is an order to a hook that adds devices of the host; %s", [c.key, lib.lift])
}

names := object.keys(input.changes.env)

# dangerous and orders: the variables of this review that name code, and those that hooks
# read. One look at all variables comes first, as most reviews have none of them.
dangerous contains name if some name in names & code.names

dangerous contains name if {
	strings.any_prefix_match(names, code.prefixes)
	some name in names
	strings.any_prefix_match(name, code.prefixes)
}

orders contains name if some name in names & hooks.names

orders contains name if {
	strings.any_prefix_match(names, hooks.prefixes)
	some name in names
	strings.any_prefix_match(name, hooks.prefixes)
}

# npm: options that name a program, code to load, or a file with such options.
npm := {
	"npm_config_browser",
	"npm_config_editor",
	"npm_config_git",
	"npm_config_globalconfig",
	"npm_config_init_module",
	"npm_config_node_gyp",
	"npm_config_node_options",
	"npm_config_prefix",
	"npm_config_python",
	"npm_config_script_shell",
	"npm_config_shell",
	"npm_config_userconfig",
	"npm_config_viewer",
}

# code: what names code to load or to run, or options in which code can be named.
code := {
	"names": {
		# The loaders of glibc and musl, ld.so(8), are in the prefixes. glibc itself: character
		# sets, locales and messages are shared objects and files; malloc writes a file.
		"GCONV_PATH",
		"GETCONF_DIR",
		"GLIBC_TUNABLES",
		"LOCPATH",
		"MALLOC_TRACE",
		"MUSL_LOCPATH",
		"NLSPATH",
		# Which program a name stands for.
		"PATH",
		# Shells: files that they read when they start, commands that they run with each prompt.
		"BASHOPTS",
		"BASH_ENV",
		"BASH_LOADABLES_PATH",
		"ENV",
		"FPATH",
		"INPUTRC",
		"NULLCMD",
		"PROMPT_COMMAND",
		"PS0",
		"PS1",
		"PS2",
		"PS4",
		"READNULLCMD",
		"SHELL",
		"SHELLOPTS",
		"ZDOTDIR",
		# Python, and programs in it.
		"CLOUDSDK_PYTHON",
		"CLOUDSDK_PYTHON_ARGS",
		"GUNICORN_CMD_ARGS",
		"PYTHONBREAKPOINT",
		"PYTHONCASEOK",
		"PYTHONEXECUTABLE",
		"PYTHONHOME",
		"PYTHONINSPECT",
		"PYTHONPATH",
		"PYTHONPLATLIBDIR",
		"PYTHONPYCACHEPREFIX",
		"PYTHONSTARTUP",
		"PYTHONUSERBASE",
		"PYTHONWARNINGS",
		"PYTHON_PRESITE",
		"PYTEST_ADDOPTS",
		"PYTEST_PLUGINS",
		# Perl.
		"PERL5DB",
		"PERL5LIB",
		"PERL5OPT",
		"PERL5SHELL",
		"PERLDB_OPTS",
		"PERLIO",
		"PERLIO_DEBUG",
		"PERLLIB",
		"PERL_MB_OPT",
		"PERL_MM_OPT",
		# Ruby.
		"BUNDLE_BIN_PATH",
		"BUNDLE_GEMFILE",
		"BUNDLE_PATH",
		"GEM_HOME",
		"GEM_PATH",
		"IRBRC",
		"RUBYGEMS_GEMDEPS",
		"RUBYLIB",
		"RUBYLIB_PREFIX",
		"RUBYOPT",
		"RUBYPATH",
		"RUBYSHELL",
		# Node.js, Bun; npm is below.
		"BUN_INSPECT_PRELOAD",
		"BUN_OPTIONS",
		"NODE_COMPILE_CACHE",
		"NODE_OPTIONS",
		"NODE_PATH",
		"NODE_REPL_EXTERNAL_MODULE",
		# Java: the virtual machines, and what their wrappers pass on to them.
		"ANT_OPTS",
		"CATALINA_OPTS",
		"CLASSPATH",
		"ES_JAVA_OPTS",
		"GRADLE_OPTS",
		"HADOOP_CLIENT_OPTS",
		"HADOOP_OPTS",
		"HBASE_OPTS",
		"IBM_JAVA_OPTIONS",
		"JAVA_HOME",
		"JAVA_OPTS",
		"JAVA_TOOL_OPTIONS",
		"JDK_JAVAC_OPTIONS",
		"JDK_JAVA_OPTIONS",
		"JVMFLAGS",
		"KAFKA_OPTS",
		"LOADER_PATH",
		"LS_JAVA_OPTS",
		"MAVEN_ARGS",
		"MAVEN_OPTS",
		"OPENJ9_JAVA_OPTIONS",
		"SBT_OPTS",
		"SERVER_JVMFLAGS",
		"SPARK_SUBMIT_OPTS",
		"_JAVA_OPTIONS",
		# .NET, Mono, PowerShell.
		"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
		"COMPlus_GCName",
		"DOTNET_ADDITIONAL_DEPS",
		"DOTNET_DiagnosticPorts",
		"DOTNET_GCName",
		"DOTNET_GCPath",
		"DOTNET_HOSTINGSTARTUPASSEMBLIES",
		"DOTNET_SHARED_STORE",
		"DOTNET_STARTUP_HOOKS",
		"MONO_CONFIG",
		"MONO_ENV_OPTIONS",
		"MONO_GAC_PREFIX",
		"MONO_PATH",
		"PSModulePath",
		# PHP.
		"PHPRC",
		"PHP_INI_SCAN_DIR",
		# R, Julia, Erlang and Elixir, Tcl, OCaml, Guile, awk.
		"AWKLIBPATH",
		"AWKPATH",
		"CAML_LD_LIBRARY_PATH",
		"ELIXIR_ERL_OPTIONS",
		"ERL_AFLAGS",
		"ERL_FLAGS",
		"ERL_LIBS",
		"ERL_ZFLAGS",
		"GUILE_LOAD_COMPILED_PATH",
		"GUILE_LOAD_PATH",
		"JULIA_BINDIR",
		"JULIA_DEPOT_PATH",
		"JULIA_LOAD_PATH",
		"JULIA_PROJECT",
		"R_DEFAULT_PACKAGES",
		"R_ENVIRON",
		"R_ENVIRON_USER",
		"R_HOME",
		"R_LIBS",
		"R_LIBS_SITE",
		"R_LIBS_USER",
		"R_PROFILE",
		"R_PROFILE_USER",
		"TCLLIBPATH",
		"TCL_LIBRARY",
		# Tools that run a command or load a configuration that names one: git, ssh, editors,
		# pagers, make, compilers, kubectl, AWS' tools.
		"AWS_CONFIG_FILE",
		"AWS_SHARED_CREDENTIALS_FILE",
		"BORG_RSH",
		"BROWSER",
		"COMPILER_PATH",
		"CVS_RSH",
		"EDITOR",
		"EMACSLOADPATH",
		"EXINIT",
		"GCC_EXEC_PREFIX",
		"GIT_ASKPASS",
		"GIT_COMMON_DIR",
		"GIT_DIR",
		"GIT_EDITOR",
		"GIT_EXEC_PATH",
		"GIT_EXTERNAL_DIFF",
		"GIT_PAGER",
		"GIT_PROXY_COMMAND",
		"GIT_SEQUENCE_EDITOR",
		"GIT_SSH",
		"GIT_SSH_COMMAND",
		"GIT_TEMPLATE_DIR",
		"GNUMAKEFLAGS",
		"GOCACHEPROG",
		"GOENV",
		"GOFLAGS",
		"GOROOT",
		"GOTOOLCHAIN",
		"HGRCPATH",
		"KUBECONFIG",
		"KUBECTL_EXTERNAL_DIFF",
		"LESSCLOSE",
		"LESSOPEN",
		"MAKEFILES",
		"MAKEFLAGS",
		"MANPAGER",
		"MYVIMRC",
		"PAGER",
		"PSQLRC",
		"PSQL_PAGER",
		"RSYNC_CONNECT_PROG",
		"RSYNC_RSH",
		"RUSTC",
		"RUSTC_WRAPPER",
		"SSH_ASKPASS",
		"SSH_ASKPASS_REQUIRE",
		"SUDO_ASKPASS",
		"SUDO_EDITOR",
		"SVN_SSH",
		"SYSTEMD_EDITOR",
		"SYSTEMD_PAGER",
		"SYSTEMD_UNIT_PATH",
		"VIMINIT",
		"VIMRUNTIME",
		"VISUAL",
		"WGETRC",
		# Libraries that load plugins or drivers: OpenSSL, Kerberos, SASL, ODBC, MySQL, GLib, GTK,
		# Qt, GStreamer, ImageMagick, iptables, TensorFlow, fabrics, graphics and accelerators.
		"CUDA_INJECTION32_PATH",
		"CUDA_INJECTION64_PATH",
		"FI_PROVIDER_PATH",
		"GBM_BACKENDS_PATH",
		"GDAL_DRIVER_PATH",
		"GDK_PIXBUF_MODULE_FILE",
		"GIO_EXTRA_MODULES",
		"GIO_MODULE_DIR",
		"GI_TYPELIB_PATH",
		"GTK_IM_MODULE_FILE",
		"GTK_MODULES",
		"GTK_PATH",
		"HSA_TOOLS_LIB",
		"INTEL_LIBITTNOTIFY32",
		"INTEL_LIBITTNOTIFY64",
		"IPTABLES_LIB_DIR",
		"KRB5_CONFIG",
		"LIBGL_DRIVERS_PATH",
		"LIBMYSQL_PLUGINS",
		"LIBMYSQL_PLUGIN_DIR",
		"LIBVA_DRIVERS_PATH",
		"NCCL_NET_PLUGIN",
		"NCCL_PROFILER_PLUGIN",
		"NCCL_TUNER_PLUGIN",
		"NVTX_INJECTION32_PATH",
		"NVTX_INJECTION64_PATH",
		"OCL_ICD_FILENAMES",
		"OCL_ICD_VENDORS",
		"ODBCINI",
		"ODBCINSTINI",
		"ODBCSYSINI",
		"OMP_TOOL_LIBRARIES",
		"OPENCL_VENDOR_PATH",
		"OPENSSL_CONF",
		"OPENSSL_CONF_INCLUDE",
		"OPENSSL_ENGINES",
		"OPENSSL_MODULES",
		"QML2_IMPORT_PATH",
		"QML_IMPORT_PATH",
		"QT_PLUGIN_PATH",
		"QT_QPA_PLATFORM_PLUGIN_PATH",
		"ROCP_TOOL_LIB",
		"ROCP_TOOL_LIBRARIES",
		"SASL_CONF_PATH",
		"SASL_PATH",
		"TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
		"UCX_MODULE_DIR",
		"VDPAU_DRIVER_PATH",
		"VK_ADD_DRIVER_FILES",
		"VK_ADD_LAYER_PATH",
		"VK_DRIVER_FILES",
		"VK_ICD_FILENAMES",
		"VK_INSTANCE_LAYERS",
		"VK_LAYER_PATH",
		"XTABLES_LIBDIR",
		"ZE_ENABLE_ALT_DRIVERS",
		"__EGL_VENDOR_LIBRARY_DIRS",
		"__EGL_VENDOR_LIBRARY_FILENAMES",
	},
	"prefixes": {
		"LD_", # the dynamic loader: LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH
		"BASH_FUNC_", # functions, exported by bash
		"COR_", # profilers of .NET Framework and Mono
		"CORECLR_", # profilers of .NET
		"DOTNET_ROOT", # where .NET is: DOTNET_ROOT, DOTNET_ROOT_X64
		"GIT_CONFIG", # any option of git: GIT_CONFIG_COUNT, GIT_CONFIG_GLOBAL, GIT_CONFIG_PARAMETERS
		"GST_", # plugins of GStreamer: GST_PLUGIN_PATH_1_0, GST_REGISTRY
		"LUA_CPATH", # with versions: LUA_CPATH_5_4
		"LUA_INIT",
		"LUA_PATH",
		"MAGICK_", # modules and delegates of ImageMagick
		"OMPI_MCA_", # any option of Open MPI, and of what it starts processes with
		"PMIX_MCA_",
		"PRTE_MCA_",
		"UWSGI_", # any option of uWSGI
	},
}

# hooks: what hooks and wrappers of the OCI runtime read when a container is created.
hooks := {
	"names": {
		# NVIDIA's container toolkit. CUDA_VERSION marks an image that gets all devices
		# when no others are named.
		"CUDA_VERSION",
		"NVIDIA_DISABLE_REQUIRE",
		"NVIDIA_DRIVER_CAPABILITIES",
		"NVIDIA_GDRCOPY",
		"NVIDIA_GDS",
		"NVIDIA_IMEX_CHANNELS",
		"NVIDIA_MOFED",
		"NVIDIA_NVSWITCH",
		"NVIDIA_VISIBLE_DEVICES",
		# The same for AMD, Intel Gaudi, Xilinx, AWS Neuron, Ascend, Cambricon, Moore Threads.
		"AMD_VISIBLE_DEVICES",
		"ASCEND_ALLOW_LINK",
		"ASCEND_RUNTIME_OPTIONS",
		"ASCEND_VISIBLE_DEVICES",
		"AWS_NEURON_VISIBLE_DEVICES",
		"CAMBRICON_VISIBLE_DEVICES",
		"HABANA_VISIBLE_DEVICES",
		"MTHREADS_DRIVER_CAPABILITIES",
		"MTHREADS_VISIBLE_DEVICES",
		"XILINX_DEVICE_EXCLUSIVE",
		"XILINX_DEVICE_EXLUSIVE", # as its source spells it
		"XILINX_VISIBLE_CARDS",
		"XILINX_VISIBLE_DEVICES",
	},
	"prefixes": {
		"DOCKER_RESOURCE_", # NVIDIA's toolkit with Docker Swarm
		"HABANA_RUNTIME_",
		"NVIDIA_CTK_",
		"NVIDIA_MIG_",
		"NVIDIA_REQUIRE_",
		"SYSBOX_", # Sysbox
	},
}
