package meter

import "reflect"

// Limits bounds what a module may declare and contain. The zero value of a field means the default. The names of the fields, with a small
// first letter, are the configuration keys that a LimitError names.
type Limits struct {
	ModuleBytes             int // the whole file; default 5 MiB
	Types                   int // default 10,000
	Parameters              int // parameters and results of one type; default 64
	Imports                 int // default 1,000
	Functions               int // defined ones; default 30,000
	FunctionBytes           int // of one function; default 64 KiB
	Locals                  int // parameters included, of one function; default 2,000
	LocalsTimesBlocks       int // of one function; default 50,000
	ModuleLocalsTimesBlocks int // of all functions together; default 5,000,000
	Nesting                 int // open control structures in a function; default 2,000
	ModuleNesting           int // the most of each function, of all together; default 1,000,000
	BranchTargets           int // of all br_table in a function; default 4,000
	ModuleBranchTargets     int // of all functions together; default 1,000,000
	FunctionCost            int // estimated microseconds to load one function; default 100,000
	CompileCost             int // the same for the whole module; default 1,850,000
	Globals                 int // default 1,000
	Exports                 int // default 1,000
	Tables                  int // default 4
	TableEntries            int // of one table, and what it may grow to; default 65,536
	MemoryPages             int // of 64 KiB, and what the memory may grow to; default 64
	DataSegments            int // default 100,000: Go splits its data at every run of zeroes
	DataBytes               int // default 16 MiB
	ElementSegments         int // default 1,000
	Elements                int // of all segments together; default 65,536
	StackBytes              int // estimated machine stack of nested calls; default 16 MiB, at most 1 GiB
}

// DefaultLimits are those of a module for which no others are set.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes:             5 << 20,
		Types:                   10_000,
		Parameters:              64,
		Imports:                 1_000,
		Functions:               30_000,
		FunctionBytes:           64 << 10,
		Locals:                  2_000,
		LocalsTimesBlocks:       50_000,
		ModuleLocalsTimesBlocks: 5_000_000,
		Nesting:                 2_000,
		ModuleNesting:           1_000_000,
		BranchTargets:           4_000,
		ModuleBranchTargets:     1_000_000,
		FunctionCost:            100_000,
		CompileCost:             1_850_000,
		Globals:                 1_000,
		Exports:                 1_000,
		Tables:                  4,
		TableEntries:            65_536,
		MemoryPages:             64,
		DataSegments:            100_000,
		DataBytes:               16 << 20,
		ElementSegments:         1_000,
		Elements:                65_536,
		StackBytes:              16 << 20,
	}
}

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	v, defaults := reflect.ValueOf(&l).Elem(), reflect.ValueOf(DefaultLimits())
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			v.Field(i).Set(defaults.Field(i))
		}
	}
	l.StackBytes = min(l.StackBytes, 1<<30) // counted in 32 bits
	return l
}
