package proxy

import (
	"errors"
	"slices"
	"testing"
)

func TestHoldings(t *testing.T) {
	s := &holdings{max: 100}
	var ended []string
	holds := map[string]*holding{}
	for name, of := range map[string]process{
		"hog1": {1, 0}, "hog2": {1, 0}, "hog3": {1, 0}, "other1": {2, 0}, "other2": {2, 0}, "good": {3, 0},
	} {
		holds[name] = &holding{in: s, of: of, end: func(err error) {
			if !errors.Is(err, errMemory) {
				t.Errorf("%s ends with %v", name, err)
			}
			ended = append(ended, name)
		}}
	}
	for i, step := range []struct {
		who   string
		take  int // or give, below zero
		ended []string
		total int
	}{
		{"hog1", 30, nil, 30},
		{"hog2", 20, nil, 50},
		{"other1", 20, nil, 70},
		{"other2", 20, nil, 90},
		{"good", 30, []string{"hog1"}, 90}, // it has most of all connections, and its process most of all
		{"hog1", 1, []string{"hog1"}, 90},  // it has ended
		{"hog1", -1, []string{"hog1"}, 90},
		{"hog2", 20, []string{"hog1", "hog2"}, 70}, // those who take too much themselves
		{"good", -30, []string{"hog1", "hog2"}, 40},
		{"good", 60, []string{"hog1", "hog2"}, 100},
		{"hog3", 1, []string{"hog1", "hog2", "good"}, 41},
	} {
		h := holds[step.who]
		if step.take < 0 {
			h.Give(-step.take)
		} else if err := h.Take(step.take); (err != nil) != slices.Contains(step.ended, step.who) {
			t.Errorf("%d: error %v", i, err)
		}
		if !slices.Equal(ended, step.ended) || s.total != step.total {
			t.Errorf("%d: %v have ended, want %v; %d are held, want %d", i, ended, step.ended, s.total, step.total)
		}
	}
	for _, h := range holds {
		h.close()
	}
	if s.total != 0 || len(s.all) != 0 {
		t.Errorf("%d are left, of %d", s.total, len(s.all))
	}
}
