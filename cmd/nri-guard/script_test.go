package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/request"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/policy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nri-guard": main})
}

// TestScript runs testdata/script/*.txtar: the whole program, as its users run it.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"fill":   fill,
			"record": record,
		},
	})
}

// exits is a command of the scripts: "exits CODE PROGRAM ARG..." runs a program
// that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fill is a command of the scripts: "fill FILE" writes $WORK where it stands in a file.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill file")
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file, []byte(strings.ReplaceAll(ts.ReadFile(args[0]), "$WORK", ts.Getenv("WORK"))), 0o644))
}

// record is a command of the scripts: "record LOG REQUEST..." has the profile
// baseline decide on requests, with the decisions in a log.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: record log request...")
	}
	ctx := context.Background()
	set, err := policy.Load(ctx, policy.Config{})
	ts.Check(err)
	log, err := audit.New(audit.Config{Path: ts.MkAbs(args[0])})
	ts.Check(err)
	rules := set.Rules()
	rules.Recorder = log
	b := border{seen: map[string]seen{}}
	for _, name := range args[1:] {
		for r, err := range request.Read(name, strings.NewReader(ts.ReadFile(name))) {
			ts.Check(err)
			engine.New(rules).Decide(ctx, b.review(r))
		}
	}
	ts.Check(log.Close())
}
