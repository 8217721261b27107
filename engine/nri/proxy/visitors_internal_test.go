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
		// come are processes; a number below zero settles those of that process so far.
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
		{name: "the oldest has registered", max: 2, come: []int{1, -1, 2, 3}, sent: []int{2}},
		{name: "all have registered", max: 2, come: []int{1, -1, 2, -2, 3}, refused: "4: there are too many connections"},
		{name: "one process wants all", max: 20, come: []int{1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, 2}, refused: "10: its process has too many connections"},
		{name: "nobody leaves", max: 2, come: []int{1, 2, 3, 4, 5}, sent: []int{0, 1}, refused: "4: there are too many connections"},
	} {
		v := visitors{max: tt.max}
		var sent []int
		refused := ""
		for i, pid := range tt.come {
			if pid < 0 {
				for _, o := range v.all {
					if o.pid == -pid {
						v.settle(o)
					}
				}
				continue
			}
			if _, err := v.enter(pid, func(error) { sent = append(sent, i) }); err != nil {
				refused = fmt.Sprint(i, ": ", err)
			}
		}
		if !slices.Equal(sent, tt.sent) || refused != tt.refused {
			t.Errorf("%s: sent away %v, want %v; refused %q, want %q", tt.name, sent, tt.sent, refused, tt.refused)
		}
	}
}
