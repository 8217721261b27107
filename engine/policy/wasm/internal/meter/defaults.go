package meter

// DefaultLimits are those of a module for which no others are set.
func DefaultLimits() Limits { return Limits{}.withDefaults() }
