package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/util"
)

// Coverage says which lines of policies were evaluated by tests.
type Coverage struct {
	// Percent of all lines that can be evaluated.
	Percent float64        `json:"percent"`
	Files   []FileCoverage `json:"files"`
}

// FileCoverage is the coverage of one file.
type FileCoverage struct {
	File    string  `json:"file"`
	Percent float64 `json:"percent"`
	// NotCovered are the lines that no test evaluated, ascending.
	NotCovered []int `json:"not_covered,omitempty"`
}

// covered makes the report on all modules but tests; those of the library count
// where its tests were run.
func (u *unit) covered() *Coverage {
	modules := slices.DeleteFunc(slices.Clone(u.modules), func(m *module) bool {
		return m.test() || m.origin.library && !u.options.Library
	})
	report := u.coverage.Report(parsed(modules, false))
	c := &Coverage{Files: []FileCoverage{}}
	var all, missed int
	for _, m := range modules {
		lines, without := fileLines(report.Files[m.name])
		all, missed = all+lines, missed+len(without)
		c.Files = append(c.Files, FileCoverage{File: m.name, Percent: percent(lines, len(without)), NotCovered: without})
	}
	c.Percent = percent(all, missed)
	return c
}

// fileLines counts the lines that can be evaluated and lists those that were not.
// What was passed over because the index of rules saw that it could not hold has
// been decided on, and counts as covered. Where ranges overlap the smaller decides.
func fileLines(f *cover.FileReport) (lines int, without []int) {
	if f == nil {
		return 0, nil
	}
	type part struct {
		cover.Range
		covered bool
	}
	var parts []part
	for _, r := range f.Covered {
		parts = append(parts, part{r, true})
	}
	for _, r := range f.NotCovered {
		parts = append(parts, part{r, slices.Contains(r.Kinds, cover.KindIndexExcluded)})
	}
	size := func(p part) int { return p.End.Row - p.Start.Row }
	slices.SortStableFunc(parts, func(a, b part) int { return size(b) - size(a) })
	covered := map[int]bool{}
	sizes := map[int]int{}
	for _, p := range parts {
		for row := p.Start.Row; row <= p.End.Row; row++ {
			equal := sizes[row] == size(p)+1
			covered[row], sizes[row] = p.covered || equal && covered[row], size(p)+1
		}
	}
	for _, row := range util.KeysSorted(covered) {
		if !covered[row] {
			without = append(without, row)
		}
	}
	return len(covered), without
}

func percent(all, missed int) float64 {
	if all == 0 {
		return 100
	}
	return 100 * float64(all-missed) / float64(all)
}
