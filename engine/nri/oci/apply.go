package oci

import (
	"errors"
	"fmt"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/runtime-tools/generate"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Apply adjusts the spec, or returns an error and leaves it as it was. Options
// are NRI's own: the resolvers for CDI devices, block I/O classes and RDT
// classes, without which an adjustment that needs one is refused, the filter
// for annotations, and the final check of resources. They see the copy that is
// being adjusted. A resolver must not be nil: NRI takes that for
// permission to skip what it should resolve.
//
// The spec's process and Linux sections are created where an adjustment needs
// them. Nothing in the spec refers to memory of the adjustment afterwards. A nil
// adjustment changes nothing. Apply may be called concurrently for different
// specs, with the same adjustment too.
func Apply(spec *rspec.Spec, adjust *api.ContainerAdjustment, opts ...generate.GeneratorOption) error {
	if spec == nil {
		return errors.New("there is no OCI spec to adjust")
	}
	if adjust == nil {
		return nil
	}
	work := clone(spec)
	if err := run(work, adjust, opts); err != nil {
		return fmt.Errorf("the OCI spec is left as it was: %w", err)
	}
	// The generator puts pointers into the adjustment in the spec.
	*spec = *clone(work)
	return nil
}

// run adjusts the spec in place; after an error it may be half done.
func run(spec *rspec.Spec, adjust *api.ContainerAdjustment, opts []generate.GeneratorOption) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the adjustment is malformed: %v", p)
		}
	}()
	hadLinux := spec.Linux != nil
	prepare(spec, adjust)
	g := generate.SpecGenerator(&generator{spec: spec}, append(refusals(), opts...)...)
	if err := g.Adjust(adjust); err != nil {
		return err
	}
	if !hadLinux && isZero(spec.Linux) {
		spec.Linux = nil
	}
	return nil
}

// prepare creates the sections that the generator takes for granted.
func prepare(spec *rspec.Spec, adjust *api.ContainerAdjustment) {
	if spec.Process == nil && len(adjust.GetRlimits()) > 0 {
		spec.Process = &rspec.Process{}
	}
	if spec.Linux == nil {
		spec.Linux = &rspec.Linux{}
	}
}

// refusals stand in for the resolvers that the caller does not provide.
func refusals() []generate.GeneratorOption {
	return []generate.GeneratorOption{
		generate.WithCDIDeviceInjector(func(_ *rspec.Spec, names []string) error {
			return fmt.Errorf("CDI devices %q: no CDI injector is configured", names)
		}),
		generate.WithBlockIOResolver(func(class string) (*rspec.LinuxBlockIO, error) {
			return nil, fmt.Errorf("block I/O class %q: no resolver is configured", class)
		}),
		generate.WithRdtResolver(func(class string) (*rspec.LinuxIntelRdt, error) {
			return nil, fmt.Errorf("RDT class %q: no resolver is configured", class)
		}),
	}
}
