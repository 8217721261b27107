package document

import (
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// change is a well-formed change of the environment, small the document around it.
const (
	change = `{"id": "env:A", "op": "add", "field": "env", "key": "A", "value": "x", "old": "", ` +
		`"plugin": {"name": "", "index": ""}, "owners": [], "container": "", "granted": false}`
	small = `{"version": 1, "operation": "CreateContainer", "runtime": {"name": "", "version": ""},
 "plugin": {"name": "", "index": ""}, "plugins": [], "pod": {}, "container": {}, "changes": {"env": {"A": ` + change + `}}}`
)

func TestUnmarshalIsStrict(t *testing.T) {
	if r, err := Unmarshal([]byte(small)); err != nil || r.Changes[0].Value != "x" {
		t.Fatalf("the document that the cases spoil is not fine itself: %v", err)
	}
	twice := `"A": ` + change + `, "A#2": ` + change
	for _, tt := range []struct{ replace, with, want string }{
		{small, ``, "no JSON: unexpected EOF"},
		{small, `[]`, "is a list, must be an object"},
		{small, `null`, "is null, must be an object"},
		{small, small + `{}`, "something follows the document"},
		{small, small[:len(small)-1], "no JSON: unexpected EOF"},
		{`"version": 1, `, ``, "version: is missing"},
		{`"version": 1`, `"version": 2`, "version: is 2, this build reads 1"},
		{`"version": 1`, `"version": "1"`, "version: is a string, must be a number"},
		{`"version": 1`, `"version": 1.0`, "version: 1.0 is no whole number of 64 bits"},
		{`"version": 1`, `"version": 1, "version": 1`, "version: stands twice"},
		{`"version": 1`, `"version": 1, "Version": 1`, "Version: there is no such key"},
		{`"CreateContainer"`, `"createContainer"`, `operation: "createContainer" is none of`},
		{`"pod": {}, `, ``, "pod: is missing"},
		{`"pod": {}`, `"pod": null`, "pod: is null, must be an object"},
		{`"pod": {}`, `"pod": {"labels": {"a.b": 1}}`, `pod.labels["a.b"]: is a number, must be a string`},
		{`"pod": {}`, `"pod": {"labels": {"": "x", "": "y"}}`, `pod.labels[""]: stands twice`},
		{`"pod": {}`, `"pod": {"pid": 4294967296}`, "pod.pid: 4294967296 is out of range"},
		{`"pod": {}`, `"pod": {"pid": -1}`, "pod.pid: -1 is no whole number of 64 bits from 0 on"},
		{`"container": {}`, `"container": {"exitCode": 2147483648}`, "container.exitCode: 2147483648 is out of range"},
		{`"container": {}`, `"container": {"createdAt": 9223372036854775808}`, "container.createdAt: 9223372036854775808 is no whole number"},
		{`"container": {}`, `"container": {"pod_sandbox_id": "x"}`, "container.pod_sandbox_id: there is no such key"},
		{`"container": {}`, `"container": {"mounts": [{}, {"options": "ro"}]}`, "container.mounts[1].options: is a string, must be a list"},
		{`"container": {}`, `"container": {"mounts": [null]}`, "container.mounts[0]: is null, must be an object"},
		{`"container": {}`, `"container": {"state": "RUNNING"}`, `container.state: "RUNNING" is none of ["CONTAINER_UNKNOWN"`},
		{`"container": {}`, `"container": {"linux": {"oomScoreAdj": {"value": 1}}}`, "container.linux.oomScoreAdj: is an object, must be a number"},
		{`"plugins": []`, `"plugins": [{"name": "x"}]`, "plugins[0].index: is missing"},
		{`"plugins": []`, `"plugins": [{"name": "x", "index": "", "identity": {}}]`, "plugins[0].identity.pid: is missing"},
		{`"env": {"A"`, `"Env": {"A"`, "changes.Env: there is no such field"},
		{`"env": {"A": ` + change + `}`, `"env": [` + change + `]`, "changes.env: is a list, must be an object"},
		{`"env": {"A": ` + change + `}`, `"mount": [` + change + `]`, `changes.mount[0].field: "env" is none of ["mount"]`},
		{`"env": {"A": ` + change + `}`, `"mount": {}`, "changes.mount: is an object, must be a list"},
		{`"env": {"A"`, `"env": {"B"`, `changes.env.B.key: is "A", but stands below "B"`},
		{`"A": ` + change, twice, `changes.env.A#2.id: "env:A" is another change's too`},
		{`"id": "env:A", `, ``, "changes.env.A.id: is missing"},
		{`"id": "env:A"`, `"id": ""`, "changes.env.A.id: is empty"},
		{`"op": "add"`, `"op": "Add"`, `changes.env.A.op: "Add" is none of ["add" "replace" "remove"]`},
		{`"value": "x"`, `"value": 1`, "changes.env.A.value: is a number, must be a string"},
		{`"value": "x"`, `"value": null`, "changes.env.A.value: is null, must be a string"},
		{`, "old": ""`, ``, "changes.env.A.old: is missing"},
		{`"granted": false`, `"granted": "no"`, "changes.env.A.granted: is a string, must be true or false"},
		{`"granted": false`, `"granted": false, "pod": {}`, "changes.env.A.pod: there is no such key"},
		{`"changes":`, `"effective": {"nam": 1}, "changes":`, "effective.nam: there is no such key"},
		{`"changes":`, `"malformed": [], "changes":`, "malformed: there is no such key"},
		{`"changes":`, `"changes"`, "changes: no JSON: invalid character"},
	} {
		spoilt := strings.Replace(small, tt.replace, tt.with, 1)
		if spoilt == small {
			t.Fatalf("there is no %s to replace", tt.replace)
		}
		_, err := Unmarshal([]byte(spoilt))
		if err == nil {
			t.Errorf("%s instead of %s was read", tt.with, tt.replace)
		} else if !strings.HasPrefix(err.Error(), "review document: "+tt.want) {
			t.Errorf("%s instead of %s:\n got %v\nwant %s", tt.with, tt.replace, err, tt.want)
		}
	}
}

// A value keeps the Go type that its field gives it.
func TestUnmarshalTypes(t *testing.T) {
	r := roundTrip(t, marshal(t, reviewtest.Rich(), Options{}), Options{})
	if n, ok := r.Change("resource:cpu.shares").Value.(uint64); !ok || n != 1<<64-1 {
		t.Errorf("cpu.shares is %v", r.Change("resource:cpu.shares").Value)
	}
	if n, ok := r.Change("resource:cpu.shares").Old.(int64); !ok || n != 1024 {
		t.Errorf("what fits an int64 is read as %T", r.Change("resource:cpu.shares").Old)
	}
	if l := r.Change("rlimit:RLIMIT_CORE").Value.(*engine.Rlimit); l.Hard != 1<<53+1 {
		t.Errorf("a number beyond 2^53 came back as %d", l.Hard)
	}
	if s := r.Container.GetLinux().GetScheduler(); s.GetFlags()[1] != 99 {
		t.Errorf("flags %v", s.GetFlags())
	}
}

func TestStrip(t *testing.T) {
	for _, tt := range []struct {
		ids, gone []string
	}{
		{nil, nil},
		{[]string{"mount:/data"}, []string{"mount:/data"}},
		{[]string{"annotation:both"}, []string{"annotation:both", "annotation:both#2"}},
		{[]string{"annotation:both#2", "args"}, []string{"annotation:both", "annotation:both#2", "args"}},
		{[]string{"hook:createRuntime#2"}, []string{"hook:createRuntime#2"}},
		{[]string{"deviceRule#2"}, []string{"deviceRule#2"}},
		{[]string{"deviceRule"}, []string{"device:/dev/kvm", "deviceRule"}},
		{[]string{"device:/dev/kvm"}, []string{"device:/dev/kvm", "deviceRule"}},
	} {
		before := roundTrip(t, marshal(t, reviewtest.Rich(), Options{}), Options{})
		rest, err := before.Strip(before, tt.ids)
		if err != nil {
			t.Fatal(err)
		}
		var gone []string
		for _, c := range before.Changes {
			if kept := rest.Change(c.ID); kept == nil {
				gone = append(gone, c.ID)
			} else if kept == c {
				t.Errorf("%v: change %s is shared with the review before", tt.ids, c.ID)
			}
		}
		if strings.Join(gone, " ") != strings.Join(tt.gone, " ") {
			t.Errorf("with %v went %v, want %v", tt.ids, gone, tt.gone)
		}
		if len(before.Changes) != len(reviewtest.Rich().Changes) {
			t.Errorf("%v: the review before was changed", tt.ids)
		}
	}
	r := reviewtest.Rich()
	if _, err := strip(r, []string{"args", "nothing"}); err == nil || err.Error() != `there is no change "nothing"` {
		t.Errorf("got %v", err)
	}
}

// The same key in another container is another thing.
func TestStripLeavesOtherContainers(t *testing.T) {
	r := &engine.Review{Changes: []*engine.Change{
		{ID: "a", Field: engine.Resource, Key: "cpu.shares", Container: "x"},
		{ID: "b", Field: engine.Resource, Key: "cpu.shares", Container: "y"},
	}}
	rest, err := strip(r, []string{"a"})
	if err != nil || len(rest.Changes) != 1 || rest.Changes[0].ID != "b" {
		t.Errorf("got %v, %v", rest, err)
	}
}
