package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// stage is where a scenario is played: plugins connect to the socket, which is the
// runtime's own or a proxy's.
type stage struct {
	*testRuntime
	plugins string

	mu    sync.Mutex
	story []string
}

// tell adds to what is compared.
func (s *stage) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.story = append(s.story, fmt.Sprintf(format, args...))
}

func (s *stage) tellMessage(what string, m proto.Message, err error) {
	if rpl, ok := m.(*api.CreateContainerResponse); ok {
		// NRI puts the removals of mounts in random order.
		removals := slices.IndexFunc(rpl.GetAdjust().GetMounts(), func(m *api.Mount) bool { return strings.HasPrefix(m.GetDestination(), "-") })
		if removals >= 0 {
			slices.SortFunc(rpl.Adjust.Mounts[removals:], func(a, b *api.Mount) int { return strings.Compare(a.GetDestination(), b.GetDestination()) })
		}
	}
	text := protojson.Format(m)
	s.tell("%s: %s, error %v", what, strings.Join(strings.Fields(text), " "), err)
}

// scenarios are played directly and through a proxy that denies nothing: what they
// tell must be the same.
var scenarios = map[string]func(testing.TB, *stage){
	"adjustments of three plugins merge": func(t testing.TB, s *stage) {
		s.add("other")
		connect(t, s.plugins, "10", "first", everything("first", 1))
		connect(t, s.plugins, "20", "second", everything("second", 2))
		connect(t, s.plugins, "30", "third", undoing())
		for _, id := range []string{"c1", "c2"} {
			rpl, err := s.create(id)
			s.tellMessage("created", rpl, err)
		}
	},
	"two plugins set one variable": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "first", setting("A", "1"))
		connect(t, s.plugins, "20", "second", setting("A", "2"))
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
	"two plugins of one name": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "twin", setting("A", "1"))
		connect(t, s.plugins, "10", "twin", setting("B", "2"))
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
	"a plugin fails": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "failing", &testPlugin{
			create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				return nil, nil, errors.New("I cannot")
			},
			update: func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
				return nil, errors.New("nor can I")
			},
			stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) {
				return nil, errors.New("leave me alone")
			},
		})
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
		updated, err := s.updateContainer("c", 5)
		s.tellMessage("updated", updated, err)
		stopped, err := s.stopContainer("c")
		s.tellMessage("stopped", stopped, err)
	},
	"a plugin dies in the middle of a request": func(t testing.TB, s *stage) {
		var dying *connected
		connect(t, s.plugins, "10", "first", setting("A", "1"))
		dying = connect(t, s.plugins, "20", "dying", &testPlugin{
			create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				dying.Stop()
				return annotation("by", "dying"), nil, nil
			},
		})
		connect(t, s.plugins, "30", "third", setting("C", "3"))
		for range 2 {
			rpl, err := s.create("c")
			s.tellMessage("created", rpl, err)
		}
	},
	"a plugin leaves between requests": func(t testing.TB, s *stage) {
		leaving := connect(t, s.plugins, "10", "leaving", setting("A", "1"))
		connect(t, s.plugins, "20", "staying", setting("B", "2"))
		leaving.Stop()
		leaving.gone(t)
		eventually(t, "the runtime notices", func() bool {
			rpl, err := s.create("c")
			return err == nil && len(rpl.GetAdjust().GetEnv()) == 1
		})
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
	"a plugin's configuration fails": func(t testing.TB, s *stage) {
		var events []api.Event
		for e := api.Event_RUN_POD_SANDBOX; e < api.Event_LAST; e++ {
			events = append(events, e)
		}
		var mask api.EventMask
		mask.Set(events...)
		_, err := tryConnect(t, s.plugins, "10", "greedy", &testPlugin{mask: mask << 1})
		s.tell("connected: error %v", err)
	},
	"updates": func(t testing.TB, s *stage) {
		s.add("c", "other")
		connect(t, s.plugins, "10", "first", sharing("other", 100))
		connect(t, s.plugins, "20", "second", &testPlugin{
			update: func(_ *api.PodSandbox, c *api.Container, r *api.LinuxResources) ([]*api.ContainerUpdate, error) {
				u := &api.ContainerUpdate{}
				u.SetContainerId(c.GetId())
				u.SetLinuxCPUQuota(r.GetCpu().GetQuota().GetValue() / 2)
				return []*api.ContainerUpdate{u}, nil
			},
		})
		rpl, err := s.updateContainer("c", 8000)
		s.tellMessage("updated", rpl, err)
		stopped, err := s.stopContainer("c")
		s.tellMessage("stopped", stopped, err)
		created, err := s.create("new")
		s.tellMessage("created", created, err)
		s.tell("synchronised: %v", sharesOf(s.synced))
	},
	"unsolicited updates": func(t testing.TB, s *stage) {
		s.add("c", "d")
		p := connect(t, s.plugins, "10", "updater", setting("A", "1"))
		for _, ids := range [][]string{{"c"}, {"c", "d"}, {}} {
			var updates []*api.ContainerUpdate
			for i, id := range ids {
				updates = append(updates, shares(id, uint64(i+1)))
			}
			failed, err := p.UpdateContainers(updates)
			s.tell("failed %v, error %v", sharesOf(failed), err)
		}
		s.mu.Lock()
		s.refuse = errRefused
		s.mu.Unlock()
		failed, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c", 9)})
		s.tell("failed %v, error %v", sharesOf(failed), err)
		s.tell("asked for: %v", sharesOf(s.asked))
	},
	"events": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "listening", &testPlugin{event: func(name string, pod *api.PodSandbox, c *api.Container) error {
			s.tellMessage(name+" pod", pod, nil)
			s.tellMessage(name+" container", c, nil)
			if name == "StartContainer" {
				return errors.New("not this one")
			}
			return nil
		}})
		s.tellEvents()
	},
	"a plugin that answers events by StateChange alone": func(t testing.TB, s *stage) {
		connectOld(t, s.plugins, func(e *api.StateChangeEvent) {
			s.tellMessage("StateChange", e, nil)
		})
		s.tellEvents()
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
	"validation": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "setter", setting("A", "1"))
		connect(t, s.plugins, "20", "judge", &testPlugin{validate: func(req *api.ValidateContainerAdjustmentRequest) error {
			s.tellMessage("validated", req, nil)
			if req.GetContainer().GetId() == "bad" {
				return errors.New("it is bad")
			}
			return nil
		}})
		for _, id := range []string{"good", "bad"} {
			rpl, err := s.create(id)
			s.tellMessage("created", rpl, err)
		}
	},
	"thousands of containers": func(t testing.TB, s *stage) {
		for i := range 3000 {
			c := testContainer(fmt.Sprintf("c%04d", i))
			c.Env = append(c.Env, "LONG="+strings.Repeat("x", 2000))
			s.pods = append(s.pods, testPod(c.GetId()))
			s.containers = append(s.containers, c)
		}
		connect(t, s.plugins, "10", "counting", &testPlugin{
			synchronize: func(pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
				s.tell("%d pods, %d containers, the last is %s with %d variables",
					len(pods), len(containers), containers[2999].GetId(), len(containers[2999].GetEnv()))
				var updates []*api.ContainerUpdate
				for _, c := range containers {
					updates = append(updates, shares(c.GetId(), 7))
				}
				return updates, nil
			},
		})
		s.settled()()
		s.tell("updates: %v", sharesOf(s.synced))
	},
	"large replies": func(t testing.TB, s *stage) {
		for i, size := range []int{4000, 4060, 4096, 6000, 8192, 100_000, 3 << 20} {
			connect(t, s.plugins, fmt.Sprintf("%02d", i), "large", setting(fmt.Sprintf("LARGE%d", i), strings.Repeat("x", size)))
		}
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
}

// impatientScenarios have NRI wait for a moment only; they are not played beside
// those above.
var impatientScenarios = map[string]func(testing.TB, *stage){
	"a reply that is too large": func(t testing.TB, s *stage) {
		connect(t, s.plugins, "10", "large", setting("LARGE", strings.Repeat("x", 5<<20)))
		connect(t, s.plugins, "20", "small", setting("SMALL", "1"))
		s.pods = nil
		rpl, err := s.create("c")
		s.tellMessage("created", rpl, err)
	},
	"a plugin hangs": func(t testing.TB, s *stage) {
		block := make(chan struct{})
		t.Cleanup(sync.OnceFunc(func() { close(block) }))
		connect(t, s.plugins, "10", "hanging", &testPlugin{
			create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				<-block
				return nil, nil, nil
			},
		})
		connect(t, s.plugins, "20", "setter", setting("A", "1"))
		for range 2 {
			rpl, err := s.create("c")
			s.tellMessage("created", rpl, err)
		}
	},
	"a plugin hangs that is to be kept": func(t testing.TB, s *stage) {
		block := make(chan struct{})
		t.Cleanup(sync.OnceFunc(func() { close(block) }))
		var calls atomic.Int32
		_, err := tryConnect(t, s.plugins, "10", "hanging", &testPlugin{
			create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				if calls.Add(1) == 1 {
					<-block
				}
				return annotation("by", "hanging"), nil, nil
			},
		}, keepConnected)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			rpl, err := s.create("c")
			s.tellMessage("created", rpl, err)
		}
	},
}

func TestRelayedAsDirect(t *testing.T) {
	for name, play := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, play)
		})
	}
}

func TestRelayedAsDirectInTime(t *testing.T) {
	adaptation.SetPluginRequestTimeout(impatience)
	t.Cleanup(func() { adaptation.SetPluginRequestTimeout(patience) })
	for name, play := range impatientScenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // with each other only: their parent waits for them
			compare(t, play)
		})
	}
}

func compare(t *testing.T, play func(testing.TB, *stage)) {
	direct := newTestRuntime(t)
	want := &stage{testRuntime: direct, plugins: direct.socket}
	play(t, want)
	r := newRig(t, nil)
	got := &stage{testRuntime: r.runtime, plugins: r.socket}
	play(t, got)
	if len(want.story) == 0 {
		t.Fatal("the scenario tells nothing")
	}
	if !slices.Equal(got.story, want.story) {
		t.Errorf("through the proxy:\n%s\n\ndirectly:\n%s", shorten(got.story), shorten(want.story))
	}
}

func shorten(story []string) string {
	var b strings.Builder
	for _, line := range story {
		if len(line) > 3000 {
			line = fmt.Sprintf("%s... (%d bytes)", line[:3000], len(line))
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// tellEvents has every event happen that is not a request for changes.
func (s *stage) tellEvents() {
	defer s.settled()()
	ctx, pod, c, cpu := context.Background(), testPod("e"), testContainer("e"), &api.LinuxResources{}
	s.tell("RunPodSandbox: %v", s.nri.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Pod: pod}))
	_, err := s.nri.UpdatePodSandbox(ctx, &api.UpdatePodSandboxRequest{Pod: pod, LinuxResources: cpu})
	s.tell("UpdatePodSandbox: %v", err)
	s.tell("PostUpdatePodSandbox: %v", s.nri.PostUpdatePodSandbox(ctx, &api.PostUpdatePodSandboxRequest{Pod: pod}))
	s.tell("PostCreateContainer: %v", s.nri.PostCreateContainer(ctx, &api.PostCreateContainerRequest{Pod: pod, Container: c}))
	s.tell("StartContainer: %v", s.nri.StartContainer(ctx, &api.StartContainerRequest{Pod: pod, Container: c}))
	s.tell("PostStartContainer: %v", s.nri.PostStartContainer(ctx, &api.PostStartContainerRequest{Pod: pod, Container: c}))
	s.tell("PostUpdateContainer: %v", s.nri.PostUpdateContainer(ctx, &api.PostUpdateContainerRequest{Pod: pod, Container: c}))
	s.tell("RemoveContainer: %v", s.nri.RemoveContainer(ctx, &api.RemoveContainerRequest{Pod: pod, Container: c}))
	s.tell("StopPodSandbox: %v", s.nri.StopPodSandbox(ctx, &api.StopPodSandboxRequest{Pod: pod}))
	s.tell("RemovePodSandbox: %v", s.nri.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{Pod: pod}))
}
