package proxy

import (
	"fmt"
	"slices"
	"testing"
)

func TestVisitors(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  int
		// come are processes, of the user that the hundreds are; a number below zero has
		// those of that process let in so far.
		come []int
		// sent are the positions of those sent away, in that order, and refused of those
		// not let in.
		sent    []int
		refused string
	}{
		{name: "room for all", max: 8, come: []int{1, 2, 3}},
		{name: "a process says nothing many times", max: 100, come: []int{1, 2, 1, 1, 1, 1, 2, 1}, sent: []int{0, 2}},
		{name: "a process that is not known", max: 100, come: []int{0, 0, 0, 0, 0, 0}},
		{name: "all say nothing", max: 4, come: []int{1, 2, 3, 4, 5, 6}, sent: []int{0, 1}},
		{name: "one of them on more connections", max: 4, come: []int{1, 2, 2, 3, 4}, sent: []int{1}},
		{name: "one user of them as many processes", max: 4, come: []int{101, 1, 2, 3, 4, 5, 102}, sent: []int{1, 2, 3}},
		{name: "the oldest has been let in", max: 2, come: []int{1, -1, 2, 3}, sent: []int{2}},
		{name: "all have been let in", max: 2, come: []int{1, -1, 2, -2, 3}, refused: "4: there are too many connections"},
		{name: "one process wants all", max: 20, come: []int{1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, 2}, refused: "10: its process has too many connections"},
		{name: "one user wants all", max: 8, come: []int{1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 101, -101}, refused: "9: its user has too many connections; plugins[].identity keeps places for names"},
		{name: "some room stays for who comes", max: 8, come: []int{1, 2, 3, 4, -1, -2, -3, -4, 101, 102, -101, -102, 201, -201, 301}, refused: "13: there are too many connections"},
		{name: "nobody leaves", max: 2, come: []int{101, 201, 301, 401, 501}, sent: []int{0, 1}, refused: "4: there are too many connections"},
		{name: "nobody of a user leaves", max: 4, come: []int{1, 2, 3, 4, 5, 6, 7, 101}, sent: []int{0, 1, 2}, refused: "6: its user has too many connections; plugins[].identity keeps places for names"},
		{name: "nobody of a process leaves", max: 100, come: []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, sent: []int{0, 1, 2, 3, 4, 5, 6, 7}, refused: "12: its process has too many connections"},
	} {
		v := visitors{max: tt.max}
		var sent []int
		refused := ""
		for i, pid := range tt.come {
			if pid < 0 {
				for _, o := range v.all {
					if o.pid != -pid || o.settled {
						continue
					}
					if err := v.settle(o, ""); err != nil {
						refused = fmt.Sprint(i, ": ", err)
					}
				}
				continue
			}
			if _, err := v.enter(process{pid, int64(pid / 100)}, func(error) { sent = append(sent, i) }); err != nil {
				refused = fmt.Sprint(i, ": ", err)
			}
		}
		if !slices.Equal(sent, tt.sent) || refused != tt.refused {
			t.Errorf("%s: sent away %v, want %v; refused %q, want %q", tt.name, sent, tt.sent, refused, tt.refused)
		}
	}
}

// A process may ask for many plugins at once.
func TestVisitorsThatAsk(t *testing.T) {
	v := visitors{max: 40}
	var sent []int
	for i := range 12 {
		n, err := v.enter(process{pid: 1 + i/10}, func(error) { sent = append(sent, i) })
		if err != nil {
			t.Fatal(err)
		}
		v.hear(n, true)
	}
	if len(sent) != 0 {
		t.Errorf("sent away: %v", sent)
	}
	for _, n := range v.all {
		v.hear(n, false) // they are refused
	}
	for _, pid := range []int{2, 1} {
		if _, err := v.enter(process{pid: pid}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sent, []int{0}) {
		t.Errorf("sent away: %v", sent)
	}
}

// Names of which is configured whose they are have places of their own, but not without
// end.
func TestKeptPlaces(t *testing.T) {
	v := visitors{max: 8}
	come := func(pid int, name string) error {
		t.Helper()
		n, err := v.enter(process{pid: pid}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		return v.settle(n, name)
	}
	for pid := range 4 {
		if err := come(1+pid, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := come(10, ""); err == nil {
		t.Error("the user has too many")
	}
	for i, name := range []string{"a", "a", "b"} {
		if err := come(11+i, name); err != nil {
			t.Errorf("%s, which has its place: %v", name, err)
		}
	}
	if err := come(20, "a"); err == nil {
		t.Error("a third one of a name has no place of its own")
	}
	first := v.all[slices.IndexFunc(v.all, func(o *visitor) bool { return o.kept == "a" })]
	v.leave(first)
	if err := come(21, "a"); err != nil {
		t.Errorf("one has left: %v", err)
	}
}
