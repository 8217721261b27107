package rego

import (
	"context"
	"testing"
	"time"
)

// TestShare: a share is of the time that is left, and counts from when it is first looked
// at; what a taker before had does not matter.
func TestShare(t *testing.T) {
	for name, c := range map[string]struct {
		takers []int // the last of which looks at the end
		looks  bool  // all others have looked too
		want   time.Duration
	}{
		"alone":                     {[]int{1}, false, time.Hour},
		"one of four":               {[]int{4}, false, 15 * time.Minute},
		"the last of four":          {[]int{4, 3, 2, 1}, true, time.Hour},
		"after one that was late":   {[]int{4, 3}, true, 20 * time.Minute},
		"after one that was quick":  {[]int{4, 3}, false, 20 * time.Minute},
		"after one with more of it": {[]int{1, 4}, true, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			b := &budget{ctx: ctx}
			for i, n := range c.takers {
				b.share(n)
				if (c.looks || i == len(c.takers)-1) && b.spent() {
					t.Fatal("it is spent at once")
				}
			}
			if got := time.Until(b.ends); got > c.want || got < c.want-time.Minute {
				t.Errorf("%v are left, want %v", got, c.want)
			}
			cancel()
			if !b.spent() {
				t.Error("it is not spent when nobody waits any more")
			}
		})
	}
}
