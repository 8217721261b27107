package wasm

import (
	"bytes"
	"context"
	"strings"
	"unicode"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/nri-guard/nri-guard/engine"
)

// maxLine is how long a line of the log may be, in bytes.
const maxLine = 512

// printed is what a module said besides its answer, as far as it is kept.
type printed struct {
	most    int
	lines   []line
	partial []byte // of what is written without the end of a line
	dropped bool
}

type line struct {
	level api.LogRequest_Level
	text  string
}

func (p *printed) reset() {
	p.lines, p.partial, p.dropped = p.lines[:0], p.partial[:0], false
}

func (p *printed) add(level api.LogRequest_Level, text []byte) {
	if len(p.lines) == p.most {
		p.dropped = true
		return
	}
	p.lines = append(p.lines, line{level, clean(string(text[:min(len(text), maxLine)]), maxLine)})
}

// write takes a stream apart into lines.
func (p *printed) write(b []byte) {
	for len(b) > 0 && len(p.lines) < p.most {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		p.partial = append(p.partial, part[:min(len(part), maxLine-min(len(p.partial), maxLine))]...)
		if whole {
			p.add(api.LogRequest_LEVEL_UNSPECIFIED, p.partial)
			p.partial = p.partial[:0]
		}
		b = rest
	}
	p.dropped = p.dropped || len(b) > 0
}

// emit logs what was said of a review. Values of environment variables are masked.
func (p *printed) emit(ctx context.Context, policy string, r *engine.Review) {
	if len(p.partial) > 0 {
		p.add(api.LogRequest_LEVEL_UNSPECIFIED, p.partial)
	}
	if len(p.lines) == 0 && !p.dropped {
		return
	}
	l := log.G(ctx).WithField("policy", policy)
	mask := func(s string) string { return s }
	if r != nil {
		mask = engine.Mask(r)
	}
	for _, x := range p.lines {
		text := "wasm: " + mask(x.text)
		switch x.level {
		case api.LogRequest_LEVEL_ERROR, api.LogRequest_LEVEL_WARN:
			l.Warn(text)
		case api.LogRequest_LEVEL_INFO:
			l.Info(text)
		default:
			l.Debug(text)
		}
	}
	if p.dropped {
		l.Debugf("wasm: more is left out than the %d lines that logLines allows", p.most)
	}
}

// clean makes one line of printable text, of at most so many bytes.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.TrimRight(s, "\r\n"))
	return shortened(s, most)
}

// shortened cuts off what is too long, and says so.
func shortened(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// maxLogRequest is how long a LogRequest may be, in bytes; a line of the log is
// shorter by far.
const maxLogRequest = 64 << 10

// envLog takes a LogRequest. Its answer, a message without fields, is nothing.
func (in *instance) envLog(a args) {
	size := a.u32(1)
	if size > maxLogRequest {
		panic(errLogRequest)
	}
	in.charge(uint64(size)) // besides touching it: to read it takes longer than to copy it
	b, ok := in.touch(a.u32(0), size)
	if !ok {
		panic(errLogRequest)
	}
	a[0] = 0
	level, text, ok := readLogRequest(b)
	if !ok {
		panic(errLogRequest)
	}
	in.printed.add(level, text)
}

// The fields of a LogRequest.
const (
	logMessage = 1
	logLevel   = 2
)

// readLogRequest reads a LogRequest as protobuf does, but for groups, and keeps nothing:
// what it has besides, it may have a great deal of.
func readLogRequest(b []byte) (level api.LogRequest_Level, text []byte, ok bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, nil, false
		}
		b = b[n:]
		switch {
		case number == logMessage && kind == protowire.BytesType:
			text, n = protowire.ConsumeBytes(b)
		case number == logLevel && kind == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			level = api.LogRequest_Level(int32(v))
		case number == logMessage || number == logLevel, kind == protowire.StartGroupType:
			return 0, nil, false // groups are none of proto3's, and take long to read where they nest
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return 0, nil, false
		}
		b = b[n:]
	}
	return level, text, true
}
