package nri_test

import (
	"errors"
	"testing"
)

func TestEventsAreRelayed(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil))
	told := make(chan string, 1)
	var fail error
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{event: func(name, id string) error {
		told <- name + " " + id
		return fail
	}})
	d.waitFor(t, 1)
	for _, fail = range []error{nil, errors.New("not now")} {
		for event, tell := range relayed(d.ctx, d.nri) {
			if event == "StopContainer c" {
				continue // has a test with its updates
			}
			err := tell()
			if got := <-told; got != event {
				t.Errorf("the plugin was told %q, want %q", got, event)
			}
			if fail == nil && err != nil {
				t.Errorf("%s: %v", event, err)
			}
			if fail != nil {
				mustSay(t, err, "not now", "telling NRI plugins of ")
			}
		}
	}
}
