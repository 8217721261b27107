// Package guest is for WebAssembly validators written in Go. It reads the requests of
// the Node Resource Interface without NRI's own Go package, whose generated code makes
// a module four times as big and five times as slow, and speaks NRI's ABI. It needs
// the standard library alone.
//
// A validator is a function that objects by an error:
//
//	package main
//
//	import "github.com/nri-guard/nri-guard/wasm-examples/go/guest"
//
//	var _ = guest.Register(guest.Validator{Judge: judge})
//
//	func main() {} // is never called
//
//	func judge(r *guest.Request) error {
//		for v := range r.Adjust().Env() {
//			if v.Name() == "LD_PRELOAD" {
//				return guest.Reject("no preloading")
//			}
//		}
//		return nil
//	}
//
// It is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o judge.wasm
//
// Messages are read where they lie, field by field, when an accessor asks for them.
// What is not protobuf ends the loop that comes upon it, and afterwards the request
// fails whatever the validator has said of it, so that a validator need not look for
// errors. What nobody reads costs nothing and is not checked.
//
// In adjustments a name that begins with "-" stands for a removal, see [Removal].
package guest
