package wasm

import "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"

// Limits bound what a module may be made of. They keep small files from costing the
// compiler minutes and gigabytes; what toolchains produce is far below. The zero
// value of each is its default.
type Limits struct {
	ModuleBytes             int `yaml:"moduleBytes" doc:"size of the file; 5242880 unless given"`
	Types                   int `yaml:"types" doc:"types of functions; 10000 unless given"`
	Parameters              int `yaml:"parameters" doc:"parameters and results of a type; 64 unless given"`
	Imports                 int `yaml:"imports" doc:"imports; 1000 unless given"`
	Functions               int `yaml:"functions" doc:"functions; 30000 unless given"`
	FunctionBytes           int `yaml:"functionBytes" doc:"size of one function; 65536 unless given"`
	Locals                  int `yaml:"locals" doc:"locals of one function, parameters included; 2000 unless given"`
	LocalsTimesBlocks       int `yaml:"localsTimesBlocks" doc:"locals times blocks of one function; 50000 unless given"`
	ModuleLocalsTimesBlocks int `yaml:"moduleLocalsTimesBlocks" doc:"locals times blocks of all functions; 5000000 unless given"`
	Nesting                 int `yaml:"nesting" doc:"depth of nested blocks in a function; 2000 unless given"`
	ModuleNesting           int `yaml:"moduleNesting" doc:"the deepest nesting of each function, of all together; 1000000 unless given"`
	BranchTargets           int `yaml:"branchTargets" doc:"targets of br_table in a function; 4000 unless given"`
	ModuleBranchTargets     int `yaml:"moduleBranchTargets" doc:"targets of br_table in all functions; 1000000 unless given"`
	FunctionCost            int `yaml:"functionCost" doc:"estimated microseconds of processor time to load one function; 100000 unless given"`
	CompileCost             int `yaml:"compileCost" doc:"estimated microseconds of processor time to load the module; 1850000 unless given"`
	Globals                 int `yaml:"globals" doc:"globals; 1000 unless given"`
	Exports                 int `yaml:"exports" doc:"exports; 1000 unless given"`
	Tables                  int `yaml:"tables" doc:"tables; 4 unless given"`
	TableEntries            int `yaml:"tableEntries" doc:"entries that a table may have or grow to; 65536 unless given"`
	DataSegments            int `yaml:"dataSegments" doc:"data segments; 100000 unless given"`
	DataBytes               int `yaml:"dataBytes" doc:"size of all data segments; 16777216 unless given"`
	ElementSegments         int `yaml:"elementSegments" doc:"element segments; 1000 unless given"`
	Elements                int `yaml:"elements" doc:"elements of all segments; 65536 unless given"`
	StackBytes              int `yaml:"stackBytes" doc:"estimated size of the stack of nested calls, at most 134217728; 16777216 unless given"`
}

// maxLimit keeps each limit one: what is counted is in bytes, microseconds, or things of
// some bytes each.
const maxLimit = 1 << 28

// maxStackBytes keeps what is allocated for a stack, up to twice as much, below the
// 400 MB at which wazero gives up by itself.
const maxStackBytes = 128 << 20

func (c *Config) meter() meter.Limits {
	l := c.Limits
	return meter.Limits{
		ModuleBytes:             l.ModuleBytes,
		Types:                   l.Types,
		Parameters:              l.Parameters,
		Imports:                 l.Imports,
		Functions:               l.Functions,
		FunctionBytes:           l.FunctionBytes,
		Locals:                  l.Locals,
		LocalsTimesBlocks:       l.LocalsTimesBlocks,
		ModuleLocalsTimesBlocks: l.ModuleLocalsTimesBlocks,
		Nesting:                 l.Nesting,
		ModuleNesting:           l.ModuleNesting,
		BranchTargets:           l.BranchTargets,
		ModuleBranchTargets:     l.ModuleBranchTargets,
		FunctionCost:            l.FunctionCost,
		CompileCost:             l.CompileCost,
		Globals:                 l.Globals,
		Exports:                 l.Exports,
		Tables:                  l.Tables,
		TableEntries:            l.TableEntries,
		MemoryPages:             int(c.MemoryPages),
		DataSegments:            l.DataSegments,
		DataBytes:               l.DataBytes,
		ElementSegments:         l.ElementSegments,
		Elements:                l.Elements,
		StackBytes:              l.StackBytes,
	}
}
