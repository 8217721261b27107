package guest

import (
	"errors"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

func TestConfigure(t *testing.T) {
	var told []string
	takes := Validator{Configure: func(text string) error {
		told = append(told, text)
		if text == "bad" {
			return errors.New("no such setting")
		}
		return nil
	}}
	for _, c := range []struct {
		name   string
		v      Validator
		config string
		failed string
	}{
		{"a text", takes, "deny=all", ""},
		{"no text", takes, "", ""},
		{"a bad text", takes, "bad", "no such setting"},
		{"none is taken and none given", Validator{}, "", ""},
		{"none is taken", Validator{}, "deny=all", "the module takes no configuration"},
	} {
		request, err := proto.Marshal(&api.ConfigureRequest{Config: c.config, RuntimeName: "runtime", RequestTimeout: 2000})
		if err != nil {
			t.Fatal(err)
		}
		failed := ""
		if err := c.v.configure(request); err != nil {
			failed = err.Error()
		}
		if failed != c.failed {
			t.Errorf("%s: %q, want %q", c.name, failed, c.failed)
		}
	}
	if len(told) != 3 || told[0] != "deny=all" {
		t.Errorf("told %q", told)
	}
	for _, v := range []Validator{takes, {}} {
		if err := v.configure([]byte{0x80}); !errors.Is(err, errMalformed) {
			t.Errorf("malformed: %v", err)
		}
	}
}
