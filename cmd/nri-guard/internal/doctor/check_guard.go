package doctor

import (
	"fmt"
	"path"
	"strings"

	"github.com/nri-guard/nri-guard/engine"
)

// checkGuardConfig finds a guard that has nothing to do.
func checkGuardConfig(n *node) []Finding {
	f := Finding{About: "guard", Severity: FailOpen, Meaning: "Nobody judges what plugins ask for."}
	switch {
	case n.Problem != nil:
		return nil
	case n.Guard == nil && n.guardian != nil && !n.reads(n.guardian):
		return nil // it is, elsewhere: checkInForce says so
	case n.Guard == nil:
		f.Summary = "the guard is not configured"
		f.Evidence = []string{n.GuardFile + " does not exist"}
		f.Fix = &Fix{Do: "Configure it", File: n.GuardFile, Paste: example()}
		if !n.usesNRI() {
			f.Severity, f.Meaning, f.Fix = Weak, "Nothing needs it now: no runtime of the node uses NRI.", nil
		}
	case !n.works():
		f.Summary = "the guard is neither validator nor proxy"
		f.Evidence = []string{n.Guard.File + ": neither validator.enabled nor proxy.enabled is true"}
		f.Fix = &Fix{Do: "Turn one of them on", File: n.Guard.File, Paste: "validator: {enabled: true}"}
	default:
		return nil
	}
	return one(f)
}

// example is the least configuration that guards: the proxy, which holds on every runtime.
func example() string {
	return "version: 1\nruntime: {socket: " + privateSocket + "}\nproxy:   {enabled: true, launch: {path: " + nriPluginDir + ", config: " + nriDropInDir + "}}\naudit:   {path: /var/log/nri-guard/decisions.ndjson}"
}

// checkPolicies finds policies that do not decide.
func checkPolicies(n *node) []Finding {
	if n.Guard == nil {
		return nil
	}
	enforced, own := 0, 0
	var lowered []string
	for _, p := range n.Guard.Policies {
		switch {
		case p.Enforcement == engine.Deny || p.Enforcement == engine.Strip:
			enforced++
			if !p.Library {
				own++
			}
		case p.Lowered != "":
			lowered = append(lowered, fmt.Sprintf("%s: %s", p.Lowered, p.Enforcement))
		}
	}
	if enforced == 0 {
		return one(Finding{
			About: "guard", Severity: FailOpen, Summary: "no policy is enforced",
			Meaning:  "Everything that plugins ask for is let through, and at most recorded.",
			Evidence: append([]string{n.Guard.At("policy.profile.enforce") + ": the profile is " + n.Guard.Profile}, lowered...),
			Fix:      &Fix{Do: "Enforce a profile", File: n.Guard.File, Paste: "policy: {profile: {enforce: baseline}}"},
		})
	}
	var all []Finding
	if n.Guard.Profile == "privileged" {
		all = append(all, Finding{
			About: "guard", Severity: Weak, Summary: "none of the library's policies is enforced",
			Meaning:  fmt.Sprintf("Under the profile privileged only policies of one's own decide: %d.", own),
			Evidence: []string{n.Guard.At("policy.profile.enforce")},
			Fix:      &Fix{Do: "Enforce the known escalations besides", File: n.Guard.File, Paste: "policy: {profile: {enforce: baseline}}"},
		})
	}
	if len(lowered) > 0 {
		all = append(all, Finding{
			About: "guard", Severity: Weak, Summary: fmt.Sprintf("%s in audit only, or off", count(len(lowered), "policy is", "policies are")),
			Meaning:  "What they object to is let through.",
			Evidence: lowered,
			Fix:      &Fix{Do: "Enforce them once the decision log shows no objection that you do not want: take them out of policy.enforcement, or set deny", File: n.Guard.File},
		})
	}
	if len(all) == 0 {
		return one(Finding{About: "guard", Severity: OK, Summary: fmt.Sprintf("%s enforced", count(enforced, "policy is", "policies are"))})
	}
	return all
}

func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

// checkExemptions finds exemptions that reach every namespace.
func checkExemptions(n *node) []Finding {
	if n.Guard == nil {
		return nil
	}
	lifted := map[string]bool{}
	var places []string
	for i, e := range n.Guard.Exemptions {
		if everywhere(e.Namespaces) {
			lifted[e.Policy] = true
			places = append(places, fmt.Sprintf("%s: %s in %s", n.Guard.At(fmt.Sprintf("exemptions[%d]", i)), e.Policy, strings.Join(e.Namespaces, ", ")))
		}
	}
	if len(places) == 0 {
		return nil
	}
	f := Finding{
		About: "guard", Severity: FailOpen, Summary: "every policy that is enforced is lifted in every namespace",
		Meaning: "Exemptions leave nothing of the policies.", Evidence: places,
		Fix: &Fix{Do: "Name the namespaces that need the exemption", File: n.Guard.File},
	}
	for _, p := range n.Guard.Policies {
		if (p.Enforcement == engine.Deny || p.Enforcement == engine.Strip) && !lifted[p.Name] {
			f.Severity, f.Summary = Weak, fmt.Sprintf("%s lifted in every namespace", count(len(lifted), "policy is", "policies are"))
			f.Meaning = "An exemption for everybody is a policy turned off, which enforcement says more plainly."
		}
	}
	return one(f)
}

// everywhere says whether patterns match every namespace that there can be. A name
// begins with a letter or a digit; one of each, short and long, is tried.
func everywhere(patterns []string) bool {
	for _, first := range strings.Split("abcdefghijklmnopqrstuvwxyz0123456789", "") {
		for _, name := range []string{first, first + "0", first + "-x9-long-name"} {
			if !matches(patterns, name) {
				return false
			}
		}
	}
	return true
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok { // a malformed one is an error of the configuration
			return true
		}
	}
	return false
}

// checkGrants finds grants that anybody can have who takes the plugin's name.
func checkGrants(n *node) []Finding {
	if !n.proxies() {
		return nil // only the proxy sees who a plugin is
	}
	var places, names []string
	for _, g := range n.Guard.Grants {
		if g.Grants > 0 && !g.Identified {
			places, names = append(places, g.At), append(names, g.Plugin)
		}
	}
	if len(places) == 0 {
		return nil
	}
	return one(Finding{
		About: "guard", Severity: Weak, Summary: "grants are for whoever takes the name: " + strings.Join(names, ", "),
		Meaning:  "Plugins name themselves. With an identity the proxy lets only that executable register under the name.",
		Evidence: places,
		Fix: &Fix{Do: "Say which executable the plugin is", File: n.Guard.File,
			Paste: fmt.Sprintf("plugins:\n  - name: %s\n    identity: {exe: %s/10-%s, uid: 0}", names[0], nriPluginDir, names[0])},
	})
}

// checkAudit finds decisions that leave no trace.
func checkAudit(n *node) []Finding {
	switch {
	case n.Guard == nil:
		return nil
	case n.Guard.AuditPath == "":
		return one(Finding{
			About: "guard", Severity: Weak, Summary: "decisions are not recorded",
			Meaning:  "What was denied, stripped or granted cannot be told afterwards.",
			Evidence: []string{n.Guard.File + ": audit.path is not set"},
			Fix:      &Fix{Do: "Keep a decision log", File: n.Guard.File, Paste: "audit: {path: /var/log/nri-guard/decisions.ndjson}"},
		})
	case n.Guard.BestEffort:
		return one(Finding{
			About: "guard", Severity: Weak, Summary: "decisions stand that could not be recorded",
			Meaning:  "Who fills the disk acts unseen.",
			Evidence: []string{n.Guard.At("audit.bestEffort")},
			Fix:      &Fix{Do: "Deny what cannot be recorded", File: n.Guard.File, Paste: "audit: {bestEffort: false}"},
		})
	}
	return one(Finding{About: "guard", Severity: OK, Summary: "decisions are recorded, or denied", Evidence: []string{n.Guard.At("audit.path")}})
}
