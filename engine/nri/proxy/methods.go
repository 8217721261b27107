package proxy

import (
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

// The services of NRI's protocol, and the methods of the one that the runtime
// offers to plugins.
const (
	pluginService    = "nri.pkg.api.v1alpha1.Plugin"
	runtimeService   = "nri.pkg.api.v1alpha1.Runtime"
	registerPlugin   = "RegisterPlugin"
	updateContainers = "UpdateContainers"
)

// method is one that plugins offer to the runtime.
type method struct {
	// request makes an empty request.
	request func() proto.Message
	// asked has the request kept for judging the answer.
	asked bool
	// judge decides what becomes of an answer; nil where nothing can be in it.
	judge func(l *link, c *call, payload []byte) (*answer, error)
}

// methods are those that this build knows. There is no relaying of others, which
// could be allowed to do anything.
var methods = map[string]*method{
	"Configure":                   {request: message[api.ConfigureRequest], judge: (*link).configured},
	"Synchronize":                 {request: message[api.SynchronizeRequest], judge: (*link).synchronized},
	"Shutdown":                    {request: message[api.Empty]},
	"RunPodSandbox":               {request: message[api.RunPodSandboxRequest], judge: known(message[api.RunPodSandboxResponse])},
	"UpdatePodSandbox":            {request: message[api.UpdatePodSandboxRequest], judge: known(message[api.UpdatePodSandboxResponse])},
	"PostUpdatePodSandbox":        {request: message[api.PostUpdatePodSandboxRequest]},
	"StopPodSandbox":              {request: message[api.StopPodSandboxRequest]},
	"RemovePodSandbox":            {request: message[api.RemovePodSandboxRequest]},
	"CreateContainer":             {request: message[api.CreateContainerRequest], asked: true, judge: (*link).created},
	"PostCreateContainer":         {request: message[api.PostCreateContainerRequest]},
	"StartContainer":              {request: message[api.StartContainerRequest], judge: known(message[api.StartContainerResponse])},
	"PostStartContainer":          {request: message[api.PostStartContainerRequest]},
	"UpdateContainer":             {request: message[api.UpdateContainerRequest], asked: true, judge: (*link).updated},
	"PostUpdateContainer":         {request: message[api.PostUpdateContainerRequest]},
	"StopContainer":               {request: message[api.StopContainerRequest], asked: true, judge: (*link).stopped},
	"RemoveContainer":             {request: message[api.RemoveContainerRequest]},
	"StateChange":                 {request: message[api.StateChangeEvent]},
	"ValidateContainerAdjustment": {request: message[api.ValidateContainerAdjustmentRequest], judge: known(message[api.ValidateContainerAdjustmentResponse])},
}

// message makes an empty message.
func message[T any, M interface {
	*T
	proto.Message
}]() proto.Message {
	return M(new(T))
}
