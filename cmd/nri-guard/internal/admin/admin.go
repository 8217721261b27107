// Package admin serves what operators and their tools ask a guard: /healthz, /readyz
// and /metrics. It only tells, and changes nothing.
package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// State is what the guard says of itself.
type State struct {
	// Problems keep the guard from being ready; without any it is.
	Problems []string `json:"problems"`
	// Warnings do not, such as a reload that failed: what was loaded before is in
	// force.
	Warnings []string `json:"warnings"`
	// Revision and Policies are those in force, since Loaded.
	Revision string    `json:"revision"`
	Policies int       `json:"policies"`
	Loaded   time.Time `json:"loaded"`
	// Plugins are those connected through the proxy, as INDEX-NAME.
	Plugins []string `json:"plugins"`
}

// Status is the state in a word or two.
func (s *State) Status() string {
	switch {
	case len(s.Problems) > 0:
		return "not ready"
	case len(s.Warnings) > 0:
		return "degraded"
	}
	return "ready"
}

// Config says what is asked. All of it must be set.
type Config struct {
	// Alive returns why the guard is of no use any more, nil while it is.
	Alive func(*http.Request) error
	State func() State
	// Metrics are what is served as such.
	Metrics prometheus.Gatherer
}

// Handler serves the endpoints.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		s := cfg.State()
		code := http.StatusOK
		if len(s.Problems) > 0 {
			code = http.StatusServiceUnavailable
		}
		answer(w, r, code, s.Status(), &s)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		s := cfg.State()
		if err := cfg.Alive(r); err != nil {
			s.Problems = append([]string{err.Error()}, s.Problems...)
			answer(w, r, http.StatusServiceUnavailable, "not healthy", &s)
			return
		}
		answer(w, r, http.StatusOK, "healthy", &s)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	}))
	return mux
}

// answer writes the state as text for people, or as JSON for who asks for that.
func answer(w http.ResponseWriter, r *http.Request, code int, status string, s *State) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		for _, list := range []*[]string{&s.Problems, &s.Warnings, &s.Plugins} {
			if *list == nil {
				*list = []string{} // no null where a list is expected
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(struct {
			Status string `json:"status"`
			*State
		}{status, s}) // who asked may have gone
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(s.text(status)))
}

func (s *State) text(status string) string {
	var b strings.Builder
	fmt.Fprintln(&b, status)
	for _, p := range s.Problems {
		fmt.Fprintln(&b, "problem:", p)
	}
	for _, p := range s.Warnings {
		fmt.Fprintln(&b, "warning:", p)
	}
	fmt.Fprintf(&b, "policies: %d, revision %s, loaded %s\n", s.Policies, s.Revision, s.Loaded.UTC().Format(time.RFC3339))
	if len(s.Plugins) > 0 {
		fmt.Fprintln(&b, "plugins:", strings.Join(s.Plugins, ", "))
	}
	return b.String()
}
