package loglines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func lost(n int) []byte { return fmt.Appendf(nil, "lost %d\n", n) }

// What nobody reads is dropped, and counted where it would stand.
func TestWriterNeverWaits(t *testing.T) {
	const writers, each = 4, 20000
	reader, pipe := io.Pipe()
	w := NewWriter(pipe, lost)
	var wg sync.WaitGroup
	for id := range writers {
		wg.Go(func() {
			for i := range each {
				_, _ = fmt.Fprintf(w, "%d %d %s\n", id, i, strings.Repeat("x", 50))
			}
		})
	}
	wg.Wait() // and nobody has read anything

	go func() {
		w.Close(time.Hour)
		_ = pipe.Close()
	}()
	seen, gone := 0, 0
	last := [writers]int{-1, -1, -1, -1}
	for s := bufio.NewScanner(reader); s.Scan(); {
		var id, i, n int
		if _, err := fmt.Sscanf(s.Text(), "lost %d", &n); err == nil {
			gone += n
			continue
		}
		if _, err := fmt.Sscanf(s.Text(), "%d %d x", &id, &i); err != nil || !strings.HasSuffix(s.Text(), "x") {
			t.Fatalf("not one line: %q", s.Text())
		}
		if i <= last[id] {
			t.Fatalf("writer %d: line %d after %d", id, i, last[id])
		}
		last[id] = i
		seen++
	}
	if gone == 0 || seen == 0 || seen+gone != writers*each {
		t.Errorf("%d lines read and %d said to be lost, of %d", seen, gone, writers*each)
	}
}

func TestWriterSaysWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &moody{}
		w := NewWriter(to, lost)
		say := func(line string) {
			_, _ = io.WriteString(w, line)
			synctest.Wait()
		}
		say("a\n")
		say(strings.Repeat("too long", maxBytes/8) + "!\n")
		to.err = errors.New("no space left")
		say("b\n")
		say("c\n")
		to.err = nil
		say("d\n")
		w.Close(time.Hour)
		say("e\n")
		if got, want := to.String(), "a\nlost 1\nd\nlost 2\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// moody is a writer that fails when told to.
type moody struct {
	bytes.Buffer
	err error
}

func (m *moody) Write(b []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	return m.Buffer.Write(b)
}

// The end waits for a reader, but not for one who never comes.
func TestWriterEnds(t *testing.T) {
	for name, reads := range map[string]bool{"somebody reads late": true, "nobody reads": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reader, pipe := io.Pipe()
				w := NewWriter(pipe, lost)
				_, _ = io.WriteString(w, "the end\n")
				read := make(chan string, 1)
				go func() {
					time.Sleep(time.Second)
					if !reads {
						time.Sleep(time.Hour)
					}
					text, _ := io.ReadAll(reader)
					read <- string(text)
				}()
				start := time.Now()
				w.Close(2 * time.Second)
				took := time.Since(start)
				_ = pipe.Close()
				text := <-read
				switch {
				case reads && (took != time.Second || text != "the end\n"):
					t.Errorf("after %s %q", took, text)
				case !reads && took != 2*time.Second:
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}
