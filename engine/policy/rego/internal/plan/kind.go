package plan

import (
	"slices"
	"sync"
)

// Kind is which keys an object may have that is made of a struct: the parts of one kind
// share it. Plans find a key of theirs without comparing names.
type Kind struct {
	names  []string
	places []int16 // by the number of a name: where it is among names, -1 where it is not
}

// numbers are those of all names that some kind has.
var numbers = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}

// NewKind returns a kind of objects with keys of these names, which are in order and all
// different. Plans are the quicker for kinds that there are when they are made.
func NewKind(names []string) *Kind {
	numbers.Lock()
	defer numbers.Unlock()
	for _, name := range names {
		if _, ok := numbers.of[name]; !ok {
			numbers.of[name] = len(numbers.of)
		}
	}
	k := &Kind{names: names, places: slices.Repeat([]int16{-1}, len(numbers.of))}
	for i, name := range names {
		k.places[numbers.of[name]] = int16(i) //nolint:gosec // a struct has fewer fields
	}
	return k
}

// numberOf returns the number of a name, -1 where no kind has it yet.
func numberOf(name string) int {
	numbers.Lock()
	defer numbers.Unlock()
	if n, ok := numbers.of[name]; ok {
		return n
	}
	return -1
}

// place returns where the name with a number is, -1 where the kind does not have it. Names
// that were numbered later than the kind are not its.
func (k *Kind) place(number int) int {
	if number >= len(k.places) {
		return -1
	}
	return int(k.places[number])
}
