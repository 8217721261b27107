package input

// slab is room for many values of a type, which takes an allocation for all of them, and
// none where it has been used before.
type slab[T any] struct {
	size  int // of the room that is used again
	first []T
	free  []T
}

// take returns room for n values, which are zero.
func (s *slab[T]) take(n int) []T {
	switch {
	case n <= len(s.free):
	case s.first == nil:
		s.first = make([]T, s.size)
		s.free = s.first
	}
	if n > len(s.free) {
		if n > s.size/4 {
			return make([]T, n)
		}
		s.free = make([]T, s.size)
	}
	room := s.free[:n:n]
	s.free = s.free[n:]
	return room
}

// reset makes the room free again. Nobody must use it any more.
func (s *slab[T]) reset() {
	clear(s.first)
	s.free = s.first
}
