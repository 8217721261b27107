package oci

import "reflect"

// clone copies a value with everything that it refers to. Unlike a detour
// through JSON it keeps empty and absent lists apart and every byte of strings.
// OCI specs are trees of exported fields, so there are no cycles and nothing
// hidden.
func clone[T any](v *T) *T {
	c := deep(reflect.ValueOf(v)).Interface()
	return c.(*T)
}

func deep(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(deep(v.Elem()))
		return c
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		return deep(v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			c.Index(i).Set(deep(v.Index(i)))
		}
		return c
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, k := range v.MapKeys() {
			c.SetMapIndex(k, deep(v.MapIndex(k)))
		}
		return c
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			c.Field(i).Set(deep(v.Field(i)))
		}
		return c
	default:
		return v
	}
}

func isZero[T any](v *T) bool { return reflect.ValueOf(v).Elem().IsZero() }
