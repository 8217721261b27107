package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// readiness is what the guard says of itself.
type readiness struct {
	asked    bool
	ready    bool
	status   string // what a guard that is ready says of itself, "" where none says it
	revision string // of the policies that it goes by
	said     string // its answer, or why there is none
}

// The words of a guard that is ready. One that is degraded goes by what it loaded before.
const (
	inOrder  = "ready"
	degraded = "degraded"
)

// The guard answers from memory.
const (
	readyTimeout = 2 * time.Second
	maxAnswer    = 4 << 10
)

// askReadiness asks the guard's admin address, where something runs at all.
func (n *node) askReadiness(ctx context.Context) readiness {
	if n.Guard == nil || n.Guard.Admin == "" || !n.live() {
		return readiness{}
	}
	url := "http://" + reachable(n.Guard.Admin) + "/readyz"
	status, body, err := get(ctx, url)
	if err != nil {
		return readiness{asked: true, said: url + ": " + err.Error()}
	}
	r := readiness{asked: true, said: url + ": " + strings.Join(append([]string{status}, strings.Fields(body)...), " ")}
	if first, rest, _ := strings.Cut(body, "\n"); first == inOrder || first == degraded {
		r.status, r.revision = first, revisionIn(rest)
		r.ready = strings.HasPrefix(status, "200 ")
	}
	return r
}

// revisionIn finds the revision in what a guard says of its policies. Its warnings stand
// before, a line each.
func revisionIn(said string) string {
	for line := range strings.Lines(said) {
		if policies, ok := strings.CutPrefix(line, "policies: "); ok {
			_, after, _ := strings.Cut(policies, "revision ")
			revision, _, _ := strings.Cut(after, ",")
			return strings.TrimSpace(revision)
		}
	}
	return ""
}

func get(ctx context.Context, url string) (status, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", "", err
	}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy from the environment
	answer, err := direct.Do(request)
	if err != nil {
		var inner interface{ Unwrap() error }
		if errors.As(err, &inner) {
			err = inner.Unwrap() // without the address, which is said already
		}
		return "", "", err
	}
	defer func() { _ = answer.Body.Close() }()                    // only read from
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // what has come is good enough to show
	return answer.Status, string(text), nil
}

// reachable is an address to connect to for one to listen at.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// checkReady finds a guard that is down or does not work.
func checkReady(n *node) []Finding {
	if n.Guard == nil || !n.works() || !n.live() {
		return nil
	}
	f := Finding{About: "guard", Evidence: []string{}}
	switch {
	case n.ready.ready && n.ready.status == degraded:
		return nil // checkInForce says what of
	case n.ready.ready:
		return one(Finding{About: "guard", Severity: OK, Summary: "the guard is ready", Evidence: []string{n.ready.said}})
	case n.guardian == nil:
		f.Summary = "the guard is not running"
		f.Evidence = []string{"no process of nri-guard run"}
		f.Fix = &Fix{Do: "Start it", Paste: "systemctl enable --now nri-guard"}
	case !n.ready.asked:
		return one(Finding{
			About: "guard", Severity: Unknown, Summary: "whether the guard is ready cannot be told: it has no admin address",
			Evidence: []string{n.Guard.At("admin.address"), n.guardian.String()}})
	default:
		f.Summary = "the guard is not ready"
		f.Evidence = append(f.Evidence, n.guardian.String())
		f.Fix = &Fix{Do: "See what it says", Paste: "journalctl -u nri-guard -n 50"}
	}
	if n.ready.asked {
		f.Evidence = append(f.Evidence, n.ready.said)
	}
	f.Severity, f.Meaning = n.without()
	return one(f)
}

// without says what happens while there is no guard.
func (n *node) without() (Severity, string) {
	if n.proxies() {
		return Weak, "Plugins cannot connect; containers are created without what they would add."
	}
	for _, r := range n.runtimes {
		names, _ := r.list(required)
		if on, _, _ := r.boolOf(validator); n.guarded(r) && on && slices.Contains(names, n.Guard.Validator) {
			return Weak, fmt.Sprintf("%s creates no containers until it is back.", r.name)
		}
	}
	return FailOpen, "Containers are created unjudged."
}

// checkLive says when what runs was not looked at.
func checkLive(n *node) []Finding {
	if n.live() {
		return nil
	}
	return one(Finding{
		About: "node", Severity: Unknown, Summary: "what runs was not looked at",
		Meaning:  "Only files were read: not who listens, nor whether the guard is ready.",
		Evidence: []string{n.host.proc() + " has no processes that can be seen"},
	})
}
