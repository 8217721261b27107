package nri

import "slices"

// place is what happens to a list at one key: what is added there, and what was
// there before.
type place[T any] struct {
	key    string
	old    T
	hasOld bool
	added  []T
}

// changedAt compares two lists by the place that their elements come to, in order
// of first appearance. An element that is in both lists is no change. What was
// there is what is there no more, or else the last of those that still are.
func changedAt[T any](before, after []T, key func(T) string, same func(a, b T) bool) []place[T] {
	rest := slices.Clone(before)
	var places []place[T]
	at := func(k string) *place[T] {
		for i := range places {
			if places[i].key == k {
				return &places[i]
			}
		}
		places = append(places, place[T]{key: k})
		return &places[len(places)-1]
	}
	for _, a := range after {
		if i := slices.IndexFunc(rest, func(b T) bool { return same(a, b) }); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		p := at(key(a))
		p.added = append(p.added, a)
	}
	for _, b := range rest {
		p := at(key(b))
		p.old, p.hasOld = b, true
	}
	for i := range places {
		p := &places[i]
		for _, b := range slices.Backward(before) {
			if !p.hasOld && key(b) == p.key {
				p.old, p.hasOld = b, true
			}
		}
	}
	return places
}
