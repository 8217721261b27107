package proxy

import (
	"context"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	start := time.Now()
	p := pace{perSecond: 100, burst: burst}
	for _, step := range []struct {
		at   time.Duration
		n    int
		want time.Duration
	}{
		{0, burst, 0}, // what is saved up
		{0, 100, time.Second},
		{time.Second, 1, 10 * time.Millisecond},
		{2 * time.Second, 1, 0},
		{time.Hour, burst, 0},                          // no more is saved than that
		{time.Hour, 1 << 30, 40960 * time.Millisecond}, // nor waited for
	} {
		if got := p.delay(step.n, start.Add(step.at)).Round(time.Millisecond); got != step.want {
			t.Errorf("%d after %s wait %s, want %s", step.n, step.at, got, step.want)
		}
	}
}

func TestWorth(t *testing.T) {
	for _, tt := range []struct {
		payload string
		size    int
		want    int
	}{
		{"", 10, 1},
		{"\x0a\x00\x0a\x00\x12\x01x", 7, 4},
		{"\x0a\x00\xff", 3, 2},
		{"\x0a\x00", 4 << 20, burst},
	} {
		if got := worth([]byte(tt.payload), tt.size); got != tt.want {
			t.Errorf("%q of %d bytes is worth %d, want %d", tt.payload, tt.size, got, tt.want)
		}
	}
}

func TestTurn(t *testing.T) {
	turn, gone := make(turn, 1), make(chan struct{})
	if !turn.take(t.Context(), gone) {
		t.Fatal("it is free")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if turn.take(ended, gone) {
		t.Error("it is taken")
	}
	close(gone)
	if turn.take(t.Context(), gone) {
		t.Error("it is taken")
	}
	turn.release()
	if !turn.take(ended, gone) {
		t.Error("it is free again, which comes first")
	}
}
