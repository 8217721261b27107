// Nothing is a validator that accepts everything: what any validator costs at least.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

type validator struct{}

func (validator) ValidateContainerAdjustment(context.Context, *api.ValidateContainerAdjustmentRequest) error {
	return nil
}

// Configure says in the log that the plugin is registered.
func (validator) Configure(context.Context, string, string, string) (stub.EventMask, error) {
	log.Print("nothing: registered")
	return 0, nil
}

func main() {
	socket := flag.String("socket", "", "NRI's socket")
	flag.Parse()
	s, err := stub.New(validator{}, stub.WithPluginName("nothing"), stub.WithPluginIdx("99"), stub.WithSocketPath(*socket))
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
