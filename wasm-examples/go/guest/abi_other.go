//go:build !wasip1

package guest

// Register makes a validator the module's. Where the program is no module it does
// nothing, so that validators can be tested on any machine, with [Validator.Answer].
func Register(v Validator) Validator { return v }
