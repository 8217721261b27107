package engine

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// panicked describes a panic by what it said and where it happened: unlike a stack
// trace it is the same for the same cause.
func panicked(unmask []string, r *Review, cause any) string {
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers[:])])
	var where []string
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			where = append(where, fmt.Sprintf("%s (%s:%d)", path.Base(frame.Function), path.Base(frame.File), frame.Line))
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more || len(where) == panicFrames {
			break
		}
	}
	text := fmt.Sprint(cause)
	if r != nil {
		text = newMask(unmask, r).text(text)
	}
	return "panic: " + Brief(text, maxMessage) + " in " + strings.Join(where, ", called by ")
}

// panicFrames is how many functions a panic is described by.
const panicFrames = 4
