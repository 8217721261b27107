package meter

// Limits bounds what a module may declare and contain. The zero value of a field means the default. The names of the fields, with a small
// first letter, are the configuration keys that a LimitError names.
type Limits struct {
	ModuleBytes             int // the whole file; default 16 MiB
	Types                   int // default 10,000
	Parameters              int // parameters and results of one type; default 64
	Imports                 int // default 1,000
	Functions               int // defined ones; default 30,000
	FunctionBytes           int // of one function; default 256 KiB
	Locals                  int // parameters included, of one function; default 2,000
	LocalsTimesBlocks       int // of one function; default 50,000
	ModuleLocalsTimesBlocks int // of all functions together; default 5,000,000
	Nesting                 int // open control structures in a function; default 2,000
	BranchTargets           int // of all br_table in a function; default 4,000
	ModuleBranchTargets     int // of all functions together; default 1,000,000
	FunctionCost            int // estimated microseconds to compile one function; default 150,000
	CompileCost             int // the same for all functions together, for each MiB of the module and part of the first; default 2,500,000
	Globals                 int // default 1,000
	Exports                 int // default 1,000
	Tables                  int // default 4
	TableEntries            int // of one table, and what it may grow to; default 65,536
	MemoryPages             int // of 64 KiB, and what the memory may grow to; default 64
	DataSegments            int // default 100,000: Go splits its data at every run of zeroes
	DataBytes               int // default 16 MiB
	ElementSegments         int // default 1,000
	Elements                int // of all segments together; default 65,536
	StackBytes              int // estimated machine stack of nested calls; default 16 MiB
}

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.ModuleBytes, 16 << 20},
		{&l.Types, 10_000},
		{&l.Parameters, 64},
		{&l.Imports, 1_000},
		{&l.Functions, 30_000},
		{&l.FunctionBytes, 256 << 10},
		{&l.Locals, 2_000},
		{&l.LocalsTimesBlocks, 50_000},
		{&l.ModuleLocalsTimesBlocks, 5_000_000},
		{&l.Nesting, 2_000},
		{&l.BranchTargets, 4_000},
		{&l.ModuleBranchTargets, 1_000_000},
		{&l.FunctionCost, 150_000},
		{&l.CompileCost, 2_500_000},
		{&l.Globals, 1_000},
		{&l.Exports, 1_000},
		{&l.Tables, 4},
		{&l.TableEntries, 65_536},
		{&l.MemoryPages, 64},
		{&l.DataSegments, 100_000},
		{&l.DataBytes, 16 << 20},
		{&l.ElementSegments, 1_000},
		{&l.Elements, 65_536},
		{&l.StackBytes, 16 << 20},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}
