package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/admin"
)

var loaded = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func TestEndpoints(t *testing.T) {
	const rest = "policies: 21, revision abc, loaded 2024-02-29T12:00:00Z\n"
	for name, c := range map[string]struct {
		method, path string
		alive        error
		state        admin.State
		code         int
		want         string
	}{
		"ready":   {"GET", "/readyz", nil, admin.State{}, 200, "ready\n" + rest},
		"by name": {"GET", "/readyz", nil, admin.State{Plugins: []string{"10-a", "20-b"}}, 200, "ready\n" + rest + "plugins: 10-a, 20-b\n"},
		"not ready": {"GET", "/readyz", nil, admin.State{Problems: []string{"validator: no runtime", "proxy: no socket"}}, 503,
			"not ready\nproblem: validator: no runtime\nproblem: proxy: no socket\n" + rest},
		"degraded": {"GET", "/readyz", nil, admin.State{Warnings: []string{"the last reload failed"}}, 200,
			"degraded\nwarning: the last reload failed\n" + rest},
		"healthy, not ready": {"GET", "/healthz", nil, admin.State{Problems: []string{"no runtime"}}, 200,
			"healthy\nproblem: no runtime\n" + rest},
		"healthy, degraded": {"GET", "/healthz", nil, admin.State{Warnings: []string{"the last reload failed"}}, 200,
			"healthy\nwarning: the last reload failed\n" + rest},
		"not healthy": {"GET", "/healthz", errors.New("no decision"), admin.State{}, 503,
			"not healthy\nproblem: no decision\n" + rest},
		"nothing there":      {"GET", "/", nil, admin.State{}, 404, "404 page not found\n"},
		"nothing to profile": {"GET", "/debug/pprof/", nil, admin.State{}, 404, "404 page not found\n"},
		"nothing to change":  {"POST", "/readyz", nil, admin.State{}, 405, "Method Not Allowed\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.state.Revision, c.state.Policies, c.state.Loaded = "abc", 21, loaded
			w := httptest.NewRecorder()
			handler(c.state, c.alive).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
			if diff := cmp.Diff(c.want, w.Body.String()); diff != "" || w.Code != c.code {
				t.Errorf("code %d, want %d (-want +got)\n%s", w.Code, c.code, diff)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	h := handler(admin.State{Warnings: []string{"w"}, Plugins: []string{"10-a"}, Revision: "abc", Policies: 2, Loaded: loaded}, nil)
	accepting := httptest.NewRequest("GET", "/readyz", nil)
	accepting.Header.Set("Accept", "application/json")
	for _, r := range []*http.Request{accepting, httptest.NewRequest("GET", "/readyz?format=json", nil)} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var got any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"status": "degraded", "problems": []any{}, "warnings": []any{"w"}, "plugins": []any{"10-a"},
			"revision": "abc", "policies": 2.0, "loaded": "2024-02-29T12:00:00Z"}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestServer: connections that say nothing, or nothing more, use up neither the
// server's time nor its places, and the end is the end.
func TestServer(t *testing.T) {
	s, err := admin.Listen("127.0.0.1:0", handler(admin.State{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen(s.Address(), http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "admin address: ") {
		t.Errorf("the same address twice: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for i := range 300 {
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // it says nothing until the end
		if i%2 == 0 {
			talk(t, conn)
		}
	}
	client := &http.Client{Timeout: time.Minute}
	for path, want := range map[string]string{"/readyz": "ready\n", "/metrics": "up 1\n"} {
		r, err := client.Get("http://" + s.Address() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %s", path, body)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + s.Address() + "/readyz"); err == nil {
		t.Error("it still answers")
	}
}

// talk asks as one that keeps its connection, and demands that it is closed.
func talk(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 200 OK") {
		t.Fatalf("%s, error %v", said, err)
	}
}

func handler(s admin.State, alive error) http.Handler {
	registry := prometheus.NewRegistry()
	up := prometheus.NewGauge(prometheus.GaugeOpts{Name: "up"})
	up.Set(1)
	registry.MustRegister(up)
	return admin.Handler(admin.Config{
		Alive:   func(*http.Request) error { return alive },
		State:   func() admin.State { return s },
		Metrics: registry,
	})
}
