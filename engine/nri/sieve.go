package nri

import "hash/maphash"

// sieve finds out that no name stands twice in a list, which is the usual case,
// without keeping the names. Where it has doubts one has to look closer.
type sieve [128]uint64

var sieveSeed = maphash.MakeSeed()

// doubtful takes a name in, and says whether it may have come before. Two bits stand
// for a name: that a few dozen names have both of another's is seldom.
func (s *sieve) doubtful(name string) bool {
	h := maphash.String(sieveSeed, name)
	first, second := s.mark(uint32(h)), s.mark(uint32(h>>32))
	return first && second
}

func (s *sieve) mark(n uint32) (marked bool) {
	word, bit := &s[n/64%uint32(len(s))], uint64(1)<<(n%64)
	marked = *word&bit != 0
	*word |= bit
	return marked
}
