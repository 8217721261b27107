package guest

import (
	"encoding/binary"
	"errors"
)

// Validator is what a module does.
type Validator struct {
	// Judge allows a request by returning nil. An error made by [Reject] rejects it
	// with that reason; any other says that it could not be judged, which denies too.
	// The request is valid until Judge returns; strings that were read from it stay.
	Judge func(*Request) error
	// Configure, if there is one, is called once, before any request, with the text
	// that the host's configuration has for the module. An error keeps the module from
	// being used. Without Configure a module takes no configuration.
	Configure func(text string) error
}

// Errors that answer for the validator.
var (
	errMalformed = errors.New("the request is malformed")
	errNoJudge   = errors.New("the module has registered no validator")
	errNoConfig  = errors.New("the module takes no configuration")
)

// rejection is an error that is an answer.
type rejection string

func (r rejection) Error() string { return string(r) }

// Reject makes the error that rejects a request for a reason.
func Reject(reason string) error { return rejection(reason) }

// Answer gives a request, NRI's ValidateContainerAdjustmentRequest in protobuf, to
// Judge, and returns the response. The host sees an error as a failure of the module.
// Answer is what a module does with each request; tests can call it on any machine.
// The request must not be modified while strings of it are in use.
func (v Validator) Answer(request []byte) (response []byte, err error) {
	if v.Judge == nil {
		return nil, errNoJudge
	}
	malformed := false
	err = v.Judge(&Request{Message{request, &malformed}})
	if malformed {
		return nil, errMalformed
	}
	var reject rejection
	if errors.As(err, &reject) {
		return rejected(err.Error()), nil
	}
	return nil, err
}

// rejected is NRI's ValidateContainerAdjustmentResponse. An empty one allows.
func rejected(reason string) []byte {
	response := append(make([]byte, 0, len(reason)+16), 1<<3|wireVarint, 1) // reject: true
	if reason == "" {
		return response
	}
	response = binary.AppendUvarint(append(response, 2<<3|wireBytes), uint64(len(reason)))
	return append(response, reason...)
}

// configure answers NRI's ConfigureRequest. The text is its first field.
func (v Validator) configure(request []byte) error {
	malformed := false
	config := Message{request, &malformed}.Text(1)
	switch {
	case malformed:
		return errMalformed
	case v.Configure != nil:
		return v.Configure(config)
	case config != "":
		return errNoConfig
	}
	return nil
}
