package guest

import "iter"

// Request is NRI's ValidateContainerAdjustmentRequest: what plugins want to change of
// a container that is about to be created.
type Request struct{ Message }

// Pod is the container's.
func (r *Request) Pod() Pod { return Pod{r.Nested(1)} }

// Container is the container before any plugin changed it.
func (r *Request) Container() Container { return Container{r.Nested(2)} }

// Adjust is what plugins want to change, merged.
func (r *Request) Adjust() Adjustment { return Adjustment{r.Nested(3)} }

// Updates are changes of other containers.
func (r *Request) Updates() iter.Seq[Update] {
	return each(r.Message, 4, func(m Message) Update { return Update{m} })
}

// Plugins are those that were asked.
func (r *Request) Plugins() iter.Seq[Plugin] {
	return each(r.Message, 6, func(m Message) Plugin { return Plugin{m} })
}

// Plugin is a plugin that was asked.
type Plugin struct{ Message }

// Name is what the plugin calls itself, without its index.
func (p Plugin) Name() string { return p.Text(1) }

// Index is two digits that order the plugins.
func (p Plugin) Index() string { return p.Text(2) }

// Update is a change of another container.
type Update struct{ Message }

// ContainerID is the other container's.
func (u Update) ContainerID() string { return u.Text(1) }

// Resources are what it would have.
func (u Update) Resources() Resources { return Resources{u.Nested(2).Nested(1)} }

// Pod is a pod.
type Pod struct{ Message }

// ID is the runtime's.
func (p Pod) ID() string { return p.Text(1) }

// Name is the pod's name.
func (p Pod) Name() string { return p.Text(2) }

// UID is the orchestrator's.
func (p Pod) UID() string { return p.Text(3) }

// Namespace is the orchestrator's; empty with Docker.
func (p Pod) Namespace() string { return p.Text(4) }

// Labels are the pod's labels.
func (p Pod) Labels() map[string]string { return p.Map(5) }

// Annotations are the pod's annotations.
func (p Pod) Annotations() map[string]string { return p.Map(6) }

// RuntimeHandler is the name of the OCI runtime to use, empty for the default.
func (p Pod) RuntimeHandler() string { return p.Text(7) }

// Container is a container as it came from the orchestrator.
type Container struct{ Message }

// ID is the runtime's.
func (c Container) ID() string { return c.Text(1) }

// Name is the container's name.
func (c Container) Name() string { return c.Text(3) }

// Labels are the container's labels.
func (c Container) Labels() map[string]string { return c.Map(5) }

// Annotations are the container's annotations.
func (c Container) Annotations() map[string]string { return c.Map(6) }

// Args are the command with its arguments.
func (c Container) Args() iter.Seq[string] { return c.Texts(7) }

// Env is the environment, as NAME=value.
func (c Container) Env() iter.Seq[string] { return c.Texts(8) }

// Mounts are the container's mounts.
func (c Container) Mounts() iter.Seq[Mount] { return each(c.Message, 9, asMount) }

// Hooks are the OCI hooks, each with its stage.
func (c Container) Hooks() iter.Seq2[string, Hook] { return hooks(c.Nested(10)) }

// Rlimits are the POSIX limits.
func (c Container) Rlimits() iter.Seq[Rlimit] { return each(c.Message, 13, asRlimit) }

// CDIDevices are qualified names of CDI devices: vendor/class=name.
func (c Container) CDIDevices() iter.Seq[string] { return cdiDevices(c.Message, 20) }

// Namespaces are the Linux namespaces.
func (c Container) Namespaces() iter.Seq[Namespace] { return each(c.Nested(11), 1, asNamespace) }

// Devices are the device nodes.
func (c Container) Devices() iter.Seq[Device] { return each(c.Nested(11), 2, asDevice) }

// Resources are the limits of the container's cgroup.
func (c Container) Resources() Resources { return Resources{c.Nested(11).Nested(3)} }
