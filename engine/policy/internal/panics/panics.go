// Package panics describes panics of policies, which are failures like others.
package panics

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Error makes an error of what was recovered, with the place that it comes from. To
// be called by the function that recovers.
func Error(cause any) error { return fmt.Errorf("panic: %v (%s)", cause, site()) }

// site is the innermost place outside the runtime that the panic went
// through, as FILE:LINE.
func site() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		switch inRuntime := strings.HasPrefix(frame.Function, "runtime."); {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !inRuntime:
			return fmt.Sprintf("%s:%d", path.Base(frame.File), frame.Line)
		}
		if !more {
			return "unknown place"
		}
	}
}
