package loglines

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said []string
		q := NewQuota(func(about string, n int) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf("%s %d", about, n))
		})
		take := func(about string, times int) (taken int) {
			for range times {
				if q.Take(about) {
					taken++
				}
			}
			return taken
		}
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(said)
			if !slices.Equal(said, want) {
				t.Errorf("%s: said %q, want %q", when, said, want)
			}
			said = nil
		}
		if got := take("quiet", Lines); got != Lines {
			t.Errorf("quiet: %d lines", got)
		}
		if got := take("loud", 1000); got != Lines {
			t.Errorf("loud: %d lines", got)
		}
		time.Sleep(Window - 1)
		if take("loud", 1) != 0 {
			t.Error("one more within the time")
		}
		expect("before the end of the window")
		time.Sleep(time.Nanosecond)
		expect("at its end", "loud 981")
		if got := take("loud", Lines+3); got != Lines {
			t.Errorf("the next window: %d lines", got)
		}
		q.Close()
		expect("at the end of all", "loud 3")
		time.Sleep(2 * Window)
		expect("after it")
	})
}

// Who chooses a new name for each line gets no more lines, and keeps none from those
// who were there.
func TestQuotaOfManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		summaries := map[string]int{}
		q := NewQuota(func(about string, n int) {
			mu.Lock()
			defer mu.Unlock()
			summaries[about] += n
		})
		remembered := func() int {
			q.mu.Lock()
			defer q.mu.Unlock()
			return len(q.things)
		}
		q.Take("early")
		taken := 0
		for i := range 10000 {
			if q.Take(fmt.Sprint(i)) {
				taken++
			}
		}
		if want := maxThings - 1 + Lines; taken != want {
			t.Errorf("%d lines, want %d", taken, want)
		}
		if !q.Take("early") {
			t.Error("who was there before has no line any more")
		}
		if n := remembered(); n > maxThings+1 {
			t.Errorf("%d things are remembered", n)
		}
		time.Sleep(Window)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(summaries) != 1 || summaries[others] != 10000-taken {
			t.Errorf("said %v, %d lines of 10000 were written", summaries, taken)
		}
		if remembered() != 0 {
			t.Error("something is remembered for ever")
		}
	})
}
