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
	n := 0
	for n < len(before) && n < len(after) && same(after[n], before[n]) {
		n++
	}
	rest := slices.Clone(before[n:])
	places := make([]place[T], 0, len(after)-n)
	at := func(k string) *place[T] {
		for i := range places {
			if places[i].key == k {
				return &places[i]
			}
		}
		places = append(places, place[T]{key: k})
		return &places[len(places)-1]
	}
	for j, a := range after[n:] {
		if i := slices.IndexFunc(rest, func(b T) bool { return same(a, b) }); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		if p := at(key(a)); p.added == nil {
			p.added = after[n+j : n+j+1 : n+j+1]
		} else {
			p.added = append(p.added, a)
		}
	}
	for _, b := range rest {
		p := at(key(b))
		p.old, p.hasOld = b, true
	}
	for _, b := range slices.Backward(before) {
		k := key(b)
		for i := range places {
			if p := &places[i]; !p.hasOld && p.key == k {
				p.old, p.hasOld = b, true
			}
		}
	}
	return places
}
