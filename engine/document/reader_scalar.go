package document

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
)

// set fills a value that is neither object nor list.
func set(s *Shape, v reflect.Value, token json.Token, at path) error {
	switch s.Kind {
	case Text:
		text, ok := token.(string)
		if !ok {
			return mismatch(at, token, "a string")
		}
		if s.Values != nil && !slices.Contains(s.Values, text) {
			return at.errorf("%q is none of %q", text, s.Values)
		}
		v.SetString(text)
	case Bool:
		b, ok := token.(bool)
		if !ok {
			return mismatch(at, token, "true or false")
		}
		v.SetBool(b)
	case Enum:
		return setEnum(s, v, token, at)
	case Int:
		n, err := signed(token, at)
		if err != nil {
			return err
		}
		if v.OverflowInt(n) {
			return at.errorf("%d is out of range", n)
		}
		v.SetInt(n)
	case Uint:
		n, err := unsigned(token, at)
		if err != nil {
			return err
		}
		if v.OverflowUint(n) {
			return at.errorf("%d is out of range", n)
		}
		v.SetUint(n)
	default:
		return at.errorf("a value of type %s has no form in the document", s.Type)
	}
	return nil
}

// setEnum takes a name, or the number of one that this build does not know.
func setEnum(s *Shape, v reflect.Value, token json.Token, at path) error {
	text, ok := token.(string)
	if !ok {
		return mismatch(at, token, "a string")
	}
	for n, name := range s.names {
		if name == text {
			v.SetInt(n)
			return nil
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return at.errorf("%q is none of %q", text, s.sortedNames())
	}
	v.SetInt(n)
	return nil
}

// scalar fills an interface with a number, a string or a boolean. A number is an
// int64 where it fits.
func (in *reader) scalar(v reflect.Value, token json.Token, at path) error {
	switch t := token.(type) {
	case string, bool:
		v.Set(reflect.ValueOf(t))
		return nil
	case json.Number:
		n, err := signed(token, at)
		if err == nil {
			v.Set(reflect.ValueOf(n))
			return nil
		}
		u, err := unsigned(token, at)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(u))
		return nil
	}
	return mismatch(at, token, "a number, a string or a boolean")
}

func signed(token json.Token, at path) (int64, error) {
	number, ok := token.(json.Number)
	if !ok {
		return 0, mismatch(at, token, "a number")
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return 0, at.errorf("%s is no whole number of 64 bits", number)
	}
	return n, nil
}

func unsigned(token json.Token, at path) (uint64, error) {
	number, ok := token.(json.Number)
	if !ok {
		return 0, mismatch(at, token, "a number")
	}
	n, err := strconv.ParseUint(number.String(), 10, 64)
	if err != nil {
		return 0, at.errorf("%s is no whole number of 64 bits from 0 on", number)
	}
	return n, nil
}

// mismatch says what there is and what should be.
func mismatch(at path, token json.Token, want string) error {
	is := "null"
	switch t := token.(type) {
	case string:
		is = "a string"
	case bool:
		is = "true or false"
	case json.Number:
		is = "a number"
	case json.Delim:
		is = "an object"
		if t == '[' {
			is = "a list"
		}
	}
	return at.errorf("is %s, must be %s", is, want)
}
