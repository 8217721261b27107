package main

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// There are so many rehearsals, unless one takes longer than slow; nobody waits for them
// longer than patience. Policies that take so long would keep the guard from its work.
const (
	rehearsals = 5
	slow       = 50 * time.Millisecond
	patience   = 150 * time.Millisecond
)

// rehearse has rules decide the reference request, as the validator has them decide. The
// first decision takes ten times as long as those that follow, since much is found out
// once and for all, and since most of the program has not run before: no container should
// wait for that. What is decided does not matter, and nobody is told.
func rehearse(rules engine.Rules) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		message := exampleMessage()
		rules.Recorder = unheard()
		rules.Timeout = min(cmp.Or(rules.Timeout, engine.DefaultTimeout), slow)
		judge := nri.NewJudge(engine.New(rules), nri.Border{NoStrip: true})
		for range rehearsals {
			begin := time.Now()
			decide(judge, message)
			if time.Since(begin) > slow {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
	}
}

func decide(judge *nri.Judge, message []byte) {
	req := &api.ValidateContainerAdjustmentRequest{}
	if err := proto.Unmarshal(message, req); err != nil {
		panic(err) // it was written here
	}
	judge.DecidePromptly(context.Background(), engine.CreateContainer, func(b *nri.Border) *engine.Review {
		return b.Adjustment(req)
	}, func(*engine.Decision) {})
}

// exampleMessage is the reference request as a runtime sends it.
func exampleMessage() []byte {
	req := &api.ValidateContainerAdjustmentRequest{}
	if err := protojson.Unmarshal(reference, req); err != nil {
		panic(err) // it is part of the program
	}
	message, err := proto.Marshal(req)
	if err != nil {
		panic(err)
	}
	return message
}

// unheard is a decision log that nobody reads.
func unheard() engine.Recorder {
	log, err := audit.NewWriter(io.Discard, audit.Config{})
	if err != nil {
		panic(err) // the empty configuration is a good one
	}
	return log
}
