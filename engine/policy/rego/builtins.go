package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// builtins is one category of OPA's builtin functions, and why policies have it
// or do not.
type builtins struct {
	why   string
	names []string
}

// allowed are the builtins that policies can call. The rule: the answer depends on
// the arguments alone, and the cost is about linear in their size (with a small
// factor for sorting and the like), or the builtin itself looks whether it has
// been cancelled. What else costs time does so between two builtins, where the
// evaluation looks.
var allowed = []builtins{
	{"operators", []string{"assign", "eq", "equal", "gt", "gte", "internal.member_2", "internal.member_3",
		"lt", "lte", "neq", "and", "or", "minus", "plus", "mul", "div", "rem"}},
	{"numbers; ranges can be cancelled", []string{"abs", "bits.and", "bits.negate", "bits.or", "bits.rsh", "bits.xor",
		"ceil", "floor", "format_int", "numbers.range", "numbers.range_step", "round", "to_number"}},
	{"aggregates", []string{"count", "max", "min", "sort", "sum"}},
	{"arrays and sets", []string{"array.concat", "array.flatten", "array.reverse", "array.slice", "intersection", "union"}},
	{"objects; walk is an iteration and can be cancelled", []string{"json.filter", "json.remove", "object.filter",
		"object.get", "object.keys", "object.remove", "object.subset", "object.union", "object.union_n", "walk"}},
	{"strings; checkCalls bounds what concat and sprintf make of theirs", []string{"concat", "contains", "endswith", "indexof", "indexof_n", "internal.template_string", "lower",
		"replace", "split", "sprintf", "startswith", "strings.any_prefix_match", "strings.any_suffix_match",
		"strings.count", "strings.replace_n", "strings.reverse", "strings.split_n", "substring", "trim", "trim_left",
		"trim_prefix", "trim_right", "trim_space", "trim_suffix", "upper"}},
	{"regular expressions that run once over the text (RE2)", []string{"regex.is_valid", "regex.match"}},
	{"types", []string{"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name"}},
	{"encodings", []string{"base64.decode", "base64.encode", "base64.is_valid", "base64url.decode", "base64url.encode",
		"base64url.encode_no_pad", "hex.decode", "hex.encode", "json.is_valid", "json.marshal",
		"json.unmarshal", "urlquery.decode", "urlquery.encode"}},
	{"digests", []string{"crypto.sha256"}},
	{"quantities and versions", []string{"semver.compare", "semver.is_valid", "units.parse", "units.parse_bytes"}},
	{"annotations, resolved at load", []string{"rego.metadata.chain", "rego.metadata.rule"}},
	{"output of tests; removed from policies at load", []string{"internal.print", "print"}},
}

// allowedInTests are available to _test.rego besides: tests build documents, and
// no request waits for them.
var allowedInTests = []builtins{
	{"to alter documents and to enumerate cases", []string{"glob.match", "internal.test_case", "json.patch",
		"regex.find_n", "regex.replace", "regex.split", "yaml.marshal", "yaml.unmarshal"}},
}

// refused are all other builtins of OPA's. They are listed so that each has a
// reason, which the error at load gives, and so that a new one has to be judged.
var refused = []builtins{
	{"policies have no network", []string{"http.send", "net.lookup_ip_addr"}},
	{"policies have no clock", []string{"time.now_ns", "time.add_date", "time.clock", "time.date", "time.diff", "time.format",
		"time.parse_duration_ns", "time.parse_ns", "time.parse_rfc3339_ns", "time.weekday"}},
	{"policies have no randomness", []string{"rand.intn", "uuid.parse", "uuid.rfc4122"}},
	{"policies do not see the environment of the process", []string{"opa.runtime"}},
	{"its cost can grow far beyond the size of its arguments, and no deadline stops it; regex.match runs once over the text",
		[]string{"glob.match", "glob.quote_meta", "regex.find_all_string_submatch_n", "regex.find_n", "regex.globs_match",
			"regex.replace", "regex.split", "regex.template_match", "re_match"}},
	{"its cost can grow far beyond the size of its arguments, and no deadline stops it",
		[]string{"bits.lsh", "graph.reachable", "graph.reachable_paths", "json.marshal_with_options", "json.patch", "product", "strings.render_template",
			"yaml.is_valid", "yaml.marshal", "yaml.unmarshal"}},
	{"nothing about a container needs it", []string{"crypto.hmac.equal", "crypto.hmac.md5", "crypto.hmac.sha1",
		"crypto.hmac.sha256", "crypto.hmac.sha512", "crypto.md5", "crypto.parse_private_keys", "crypto.sha1",
		"crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options",
		"crypto.x509.parse_certificate_request", "crypto.x509.parse_certificates", "crypto.x509.parse_keypair",
		"crypto.x509.parse_rsa_private_key", "graphql.is_valid", "graphql.parse", "graphql.parse_and_verify",
		"graphql.parse_query", "graphql.parse_schema", "graphql.schema_is_valid", "io.jwt.decode", "io.jwt.decode_verify",
		"io.jwt.encode_sign", "io.jwt.encode_sign_raw", "io.jwt.verify_eddsa", "io.jwt.verify_es256",
		"io.jwt.verify_es384", "io.jwt.verify_es512", "io.jwt.verify_hs256", "io.jwt.verify_hs384",
		"io.jwt.verify_hs512", "io.jwt.verify_ps256", "io.jwt.verify_ps384", "io.jwt.verify_ps512",
		"io.jwt.verify_rs256", "io.jwt.verify_rs384", "io.jwt.verify_rs512", "json.match_schema", "json.verify_schema",
		"net.cidr_contains", "net.cidr_contains_matches", "net.cidr_expand", "net.cidr_intersects", "net.cidr_is_valid",
		"net.cidr_merge", "net.cidr_overlap", "providers.aws.sign_req", "rego.parse_module", "uri.is_valid", "uri.parse",
		"urlquery.decode_object", "urlquery.encode_object"}},
	{"it is only for tests", []string{"internal.test_case"}},
	{"it is deprecated", []string{"all", "any", "cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set",
		"cast_string", "set_diff", "trace"}},
}

// refusal says why policies cannot call a builtin; "" for one that they can, or
// that does not exist.
func refusal(name string) string {
	for _, category := range refused {
		if slices.Contains(category.names, name) {
			return category.why
		}
	}
	return ""
}

// capabilities restricts the compiler to the language as it is and to the allowed
// builtins. Schemas cannot be fetched from anywhere.
func capabilities(tests bool) *ast.Capabilities {
	categories := allowed
	if tests {
		categories = slices.Concat(allowed, allowedInTests)
	}
	caps := ast.CapabilitiesForThisVersion()
	caps.AllowNet = []string{}
	caps.FutureKeywords = nil
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return !slices.ContainsFunc(categories, func(c builtins) bool { return slices.Contains(c.names, b.Name) })
	})
	return caps
}
