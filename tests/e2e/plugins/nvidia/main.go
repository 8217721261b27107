// Nvidia is the NRI plugin of NVIDIA's container toolkit, as it is released: a main
// around it. It injects CDI devices that annotations of a pod name.
package main

import (
	"context"
	"flag"

	"github.com/NVIDIA/nvidia-container-toolkit/cmd/nvidia-ctk-installer/container/runtime/nri"
	"github.com/sirupsen/logrus"
)

func main() {
	socket := flag.String("socket", "", "NRI's socket")
	flag.Parse()
	log := logrus.New()
	p := nri.NewPlugin(context.Background(), log, nil)
	if err := p.Start(context.Background(), *socket, "10"); err != nil {
		log.Fatal(err)
	}
	log.Info("registered")
	select {}
}
