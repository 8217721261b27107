package validate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	policies "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	plugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	limits "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
)

// expression is one of a policy's, for the API server's compiler.
type expression struct {
	name, text string
	returns    *cel.Type
}

func (e *expression) GetName() string          { return e.name }
func (e *expression) GetExpression() string    { return e.text }
func (e *expression) ReturnTypes() []*cel.Type { return []*cel.Type{e.returns} }

// admitted evaluates the policy as the API server does: what the conditions leave out is
// admitted, else the validations decide. before is the pod that is updated, nil for a new one.
func admitted(t *testing.T, p *policies.ValidatingAdmissionPolicy, pod, before *core.Pod, groups ...string) (bool, string) {
	t.Helper()
	compiler, err := plugin.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	var variables []plugin.NamedExpressionAccessor
	for _, v := range p.Spec.Variables {
		variables = append(variables, &expression{v.Name, v.Expression, cel.AnyType})
	}
	compiler.CompileAndStoreVariables(variables, plugin.OptionalVariableDeclarations{}, environment.NewExpressions)

	for _, c := range p.Spec.MatchConditions {
		if evaluate(t, compiler, &expression{c.Name, c.Expression, cel.BoolType}, pod, before, groups) != true {
			return true, ""
		}
	}
	for _, v := range p.Spec.Validations {
		if evaluate(t, compiler, &expression{"", v.Expression, cel.BoolType}, pod, before, groups) != true {
			message, _ := evaluate(t, compiler, &expression{"", v.MessageExpression, cel.StringType}, pod, before, groups).(string)
			return false, message
		}
	}
	return true, ""
}

func evaluate(t *testing.T, compiler *plugin.CompositedCompiler, e *expression, pod, before *core.Pod, groups []string) any {
	t.Helper()
	condition := compiler.CompileCondition([]plugin.ExpressionAccessor{e}, plugin.OptionalVariableDeclarations{}, environment.NewExpressions)
	if errs := condition.CompilationErrors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	kind := core.SchemeGroupVersion.WithKind("Pod")
	resource := core.SchemeGroupVersion.WithResource("pods")
	operation, old := admission.Create, runtime.Object(nil) // without a pod in it, also in the interface
	if before != nil {
		operation, old = admission.Update, before
	}
	attributes := admission.NewAttributesRecord(pod, old, kind, pod.Namespace, pod.Name, resource, "", operation,
		&meta.CreateOptions{}, false, &user.DefaultInfo{Name: "somebody", Groups: groups})
	request := plugin.CreateAdmissionRequest(attributes, meta.GroupVersionResource(resource), meta.GroupVersionKind(kind))
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind, VersionedObject: admission.NewLazyObject(pod)}
	if before != nil {
		versioned.VersionedOldObject = admission.NewLazyObject(before)
	}
	results, _, err := condition.ForInput(context.Background(),
		versioned,
		request, plugin.OptionalVariableBindings{}, nil, limits.RuntimeCELCostBudget)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Error != nil {
		t.Fatal(results[0].Error)
	}
	return results[0].EvalResult.Value()
}

// TestToleration has the API server judge pods that let themselves out.
func TestToleration(t *testing.T) {
	const key = "tolerate-missing-plugins.noderesource.dev"
	found := build(t, "../kubernetes/both")
	p := found["ValidatingAdmissionPolicy"].(*policies.ValidatingAdmissionPolicy)
	for name, c := range map[string]struct {
		annotations map[string]string
		groups      []string
		want        bool
	}{
		"no annotations":            {nil, nil, true},
		"others":                    {map[string]string{"noderesource.dev": "true", key + "s": "true", "x/" + key: "true"}, nil, true},
		"the pod's":                 {map[string]string{key: "true"}, nil, false},
		"whatever it says":          {map[string]string{key: ""}, nil, false},
		"the pod's, said at length": {map[string]string{key + "/pod": "true"}, nil, false},
		"a container's":             {map[string]string{"a": "b", key + "/container.app": "true"}, nil, false},
		"a static pod's copy":       {map[string]string{key: "true"}, []string{"system:nodes", "system:authenticated"}, true},
		"somebody who is no node":   {map[string]string{key: "true"}, []string{"system:authenticated", "system:masters"}, false},
		"more than one of its kind": {map[string]string{key: "false", key + "/container.a": "true"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "p", Namespace: "default", Annotations: c.annotations}}
			got, message := admitted(t, p, pod, nil, c.groups...)
			if got != c.want {
				t.Errorf("admitted: %t, want %t", got, c.want)
			}
			if !got && !strings.Contains(message, key) {
				t.Errorf("message %q does not name the annotation", message)
			}
		})
	}
}

// TestTolerationOfUpdates leaves be what was there before the policy, and nothing else.
func TestTolerationOfUpdates(t *testing.T) {
	const key = "tolerate-missing-plugins.noderesource.dev"
	p := build(t, "../kubernetes/both")["ValidatingAdmissionPolicy"].(*policies.ValidatingAdmissionPolicy)
	for name, c := range map[string]struct {
		before, after map[string]string
		want          bool
	}{
		"nothing":          {nil, nil, true},
		"added to nothing": {nil, map[string]string{key: "true"}, false},
		"added":            {map[string]string{"a": "b"}, map[string]string{"a": "b", key: "true"}, false},
		"there already":    {map[string]string{key: "true"}, map[string]string{key: "true", "a": "b"}, true},
		"taken away":       {map[string]string{key: "true"}, nil, true},
		"for another":      {map[string]string{key + "/container.a": "true"}, map[string]string{key + "/container.a": "true", key + "/container.b": "true"}, false},
		"set to more":      {map[string]string{key: "false"}, map[string]string{key: "true"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			after := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "p", Namespace: "default", Annotations: c.after}}
			before := &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "p", Namespace: "default", Annotations: c.before}}
			if got, _ := admitted(t, p, after, before); got != c.want {
				t.Errorf("admitted: %t, want %t", got, c.want)
			}
		})
	}
}

// TestTolerationBinding has the policy in force everywhere but where the guard is, whose
// pod has the annotation that the policy is about.
func TestTolerationBinding(t *testing.T) {
	found := build(t, "../kubernetes/both")
	p := found["ValidatingAdmissionPolicy"].(*policies.ValidatingAdmissionPolicy)
	b := found["ValidatingAdmissionPolicyBinding"].(*policies.ValidatingAdmissionPolicyBinding)
	d := found["DaemonSet"].(*apps.DaemonSet)
	if b.Spec.PolicyName != p.Name || *p.Spec.FailurePolicy != policies.Fail || b.Spec.ValidationActions[0] != policies.Deny {
		t.Error("the policy is not bound, or does not deny")
	}
	// The ways by which annotations become a pod's: as part of it, with its status, with its
	// binding under both names. Updates of all of them, in the API's words.
	const ways = "[pods pods/status pods/binding bindings] [CREATE UPDATE]"
	if r := p.Spec.MatchConstraints.ResourceRules[0]; fmt.Sprint(r.Resources, r.Operations) != ways {
		t.Errorf("it is about %v %v, want %s", r.Resources, r.Operations, ways)
	}
	selector, err := meta.LabelSelectorAsSelector(b.Spec.MatchResources.NamespaceSelector)
	if err != nil {
		t.Fatal(err)
	}
	for namespace, want := range map[string]bool{"default": true, "kube-system": true, "nri-guard-x": true, d.Namespace: false} {
		if got := selector.Matches(labels.Set{"kubernetes.io/metadata.name": namespace}); got != want {
			t.Errorf("in force in %s: %t, want %t", namespace, got, want)
		}
	}
	pod := &core.Pod{ObjectMeta: d.Spec.Template.ObjectMeta}
	if ok, _ := admitted(t, p, pod, nil); ok {
		t.Error("the guard's own pod has another annotation than the policy is about")
	}
}
