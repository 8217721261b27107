// Flood is an NRI plugin that sends updates of containers that there are not, as many
// as it can.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

type plugin struct{}

// Configure says in the log that the plugin is registered.
func (plugin) Configure(context.Context, string, string, string) (stub.EventMask, error) {
	log.Print("flood: registered")
	return 0, nil
}

func (plugin) RemovePodSandbox(context.Context, *api.PodSandbox) error { return nil }

func main() {
	socket := flag.String("socket", "", "NRI's socket")
	flag.Parse()
	s, err := stub.New(plugin{}, stub.WithPluginName("flood"), stub.WithPluginIdx("90"), stub.WithSocketPath(*socket))
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	for range 8 {
		go flood(s)
	}
	s.Wait()
}

func flood(s stub.Stub) {
	u := &api.ContainerUpdate{ContainerId: "nobody"}
	u.SetLinuxCPUShares(2)
	for {
		// It is denied, or there is no such container.
		_, _ = s.UpdateContainers([]*api.ContainerUpdate{u})
	}
}
