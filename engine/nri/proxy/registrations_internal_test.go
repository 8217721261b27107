package proxy

import (
	"errors"
	"testing"
	"time"
)

func TestRegistrations(t *testing.T) {
	r := registrations{perSecond: 1, by: map[any]*pace{}}
	attempt := func(pid int, uid int64, name string) (waited bool, err error) {
		err = r.wait(process{pid, uid}, name, func(d time.Duration) error {
			waited = waited || d > 0
			return nil
		})
		return waited, err
	}
	few := func(what string, pid int, uid int64, name string, n int) {
		t.Helper()
		for i := range n {
			if waited, err := attempt(pid, uid, name); waited || err != nil {
				t.Errorf("%s, %d: waited %v, %v", what, i, waited, err)
			}
		}
	}
	many := func(what string, pid int, uid int64, name string) {
		t.Helper()
		if waited, err := attempt(pid, uid, name); !waited || err != nil {
			t.Errorf("%s: waited %v, %v", what, waited, err)
		}
		for range 10 {
			_, _ = attempt(pid, uid, name)
		}
		if _, err := attempt(pid, uid, name); !errors.Is(err, errTooOften) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	few("a process", 1, 1, "", savedUp)
	many("a process", 1, 1, "")
	few("another one of the user", 2, 1, "", savedUp)
	few("another one of the user", 3, 1, "", savedUp)
	few("another one of the user", 4, 1, "", savedUp-1)
	many("a user's sixth", 6, 1, "")
	few("another user", 7, 2, "", savedUp)
	few("a name", 1, 1, "kept", savedUp)
	many("a name", 1, 1, "kept")
	few("another name", 1, 1, "kept too", savedUp)
	few("of whom is not known which process it is", 0, 3, "", userRate*savedUp)
	many("of whom is not known which process it is", 0, 3, "")
	for uid := range int64(overallRate) {
		for range savedUp {
			_, _ = attempt(100+int(uid), 100+uid, "")
		}
	}
	if _, err := attempt(9, 9, ""); !errors.Is(err, errTooOften) {
		t.Errorf("all together: error %v", err)
	}
	few("a name that has a pace of its own", 9, 100, "kept still", savedUp)
}

func TestRegistrationsAreForgotten(t *testing.T) {
	r := registrations{perSecond: 1, by: map[any]*pace{}}
	now := time.Now()
	for pid := range 2 * manyPaces {
		r.delay(process{pid: pid}, 1, now)
	}
	if n := len(r.by); n != 2*manyPaces {
		t.Errorf("%d are remembered, who cannot be forgotten yet", n)
	}
	r.delay(process{pid: -1}, 1, now.Add(savedUp*time.Second))
	if n := len(r.by); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}
