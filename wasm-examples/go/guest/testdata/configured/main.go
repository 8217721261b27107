// A validator that does what its configuration says with every request.
package main

import (
	"errors"

	"github.com/nri-guard/nri-guard/wasm-examples/go/guest"
)

var does string

var _ = guest.Register(guest.Validator{
	Configure: func(text string) error {
		if text == "bad" {
			return errors.New("no such setting")
		}
		does = text
		return nil
	},
	Judge: func(*guest.Request) error {
		switch does {
		case "reject":
			return guest.Reject("as configured")
		case "fail":
			return errors.New("as configured")
		case "fail_silently":
			return errors.New("")
		case "panic":
			panic("as configured")
		}
		return nil
	},
})

func main() {}
