// Package image makes container images of programs in this repository, without a container
// daemon, a base image or a network. The same sources give the same digests on any machine.
package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// A Platform is a platform that images can be built for.
type Platform struct {
	// Name is the platform as in an image index: os/architecture[/variant].
	Name string
	// env selects the platform for the Go compiler. It always contains the micro-architecture,
	// at the level that every such machine has. Otherwise GOAMD64 and similar settings of the
	// caller would change the binary under the same name.
	env []string
}

// platforms are the Linux platforms for which Go compiles, in the order of the index.
var platforms = []Platform{
	{Name: "linux/amd64", env: []string{"GOARCH=amd64", "GOAMD64=v1"}},
	{Name: "linux/amd64/v2", env: []string{"GOARCH=amd64", "GOAMD64=v2"}},
	{Name: "linux/amd64/v3", env: []string{"GOARCH=amd64", "GOAMD64=v3"}},
	{Name: "linux/amd64/v4", env: []string{"GOARCH=amd64", "GOAMD64=v4"}},
	{Name: "linux/arm64", env: []string{"GOARCH=arm64", "GOARM64=v8.0"}},
	{Name: "linux/arm/v7", env: []string{"GOARCH=arm", "GOARM=7"}},
	{Name: "linux/arm/v6", env: []string{"GOARCH=arm", "GOARM=6"}},
	{Name: "linux/arm/v5", env: []string{"GOARCH=arm", "GOARM=5"}},
	{Name: "linux/ppc64le", env: []string{"GOARCH=ppc64le", "GOPPC64=power8"}},
	{Name: "linux/s390x", env: []string{"GOARCH=s390x"}},
	{Name: "linux/riscv64", env: []string{"GOARCH=riscv64", "GORISCV64=rva20u64"}},
	{Name: "linux/386", env: []string{"GOARCH=386", "GO386=sse2"}},
	{Name: "linux/loong64", env: []string{"GOARCH=loong64"}},
	{Name: "linux/mips", env: []string{"GOARCH=mips", "GOMIPS=hardfloat"}},
	{Name: "linux/mipsle", env: []string{"GOARCH=mipsle", "GOMIPS=hardfloat"}},
	{Name: "linux/mips64", env: []string{"GOARCH=mips64", "GOMIPS64=hardfloat"}},
	{Name: "linux/mips64le", env: []string{"GOARCH=mips64le", "GOMIPS64=hardfloat"}},
	{Name: "linux/ppc64", env: []string{"GOARCH=ppc64", "GOPPC64=power8"}},
}

// Environment returns the variables that select the platform for the Go compiler.
func (p Platform) Environment() []string { return slices.Clone(p.env) }

// aliases are other names of platforms. The image specification leaves out the variant of arm64
// and amd64 where it is the first one, and readers treat both names as the same.
var aliases = map[string]string{"linux/arm64/v8": "linux/arm64", "linux/amd64/v1": "linux/amd64"}

// PlatformNames returns all platforms in the order of the index.
func PlatformNames() []string {
	names := make([]string, len(platforms))
	for i := range platforms {
		names[i] = platforms[i].Name
	}
	return names
}

// SelectPlatforms returns the named platforms in the order of the index. One error has all
// mistakes in the names: unknown ones, each with the nearest known one, and two names of the
// same platform.
func SelectPlatforms(names []string) ([]Platform, error) {
	var selected []Platform
	var wrong []string
	asked := map[string]string{} // maps a platform to the name that the caller gave
	for _, name := range names {
		meant := name
		if is, ok := aliases[name]; ok {
			meant = is
		}
		before, twice := asked[meant]
		switch {
		case twice && before == name:
			wrong = append(wrong, fmt.Sprintf("platform %s is given twice", name))
		case twice:
			wrong = append(wrong, fmt.Sprintf("platforms %s and %s are the same", before, name))
		case !known(meant):
			wrong = append(wrong, fmt.Sprintf("platform %s is unknown, %s?", name, likely(name)))
		}
		asked[meant] = name
	}
	if len(wrong) > 0 {
		return nil, fault.New(fault.Usage, errors.New(strings.Join(wrong, "; ")),
			"the platforms are "+strings.Join(PlatformNames(), ", "))
	}
	for _, p := range platforms {
		if _, ok := asked[p.Name]; ok {
			selected = append(selected, p)
		}
	}
	return selected, nil
}

func known(name string) bool {
	return slices.ContainsFunc(platforms, func(p Platform) bool { return p.Name == name })
}

// likely returns the platform whose name takes the fewest edits, or the first one of which name
// is a prefix: linux/arm only lacks a variant.
func likely(name string) string {
	names := PlatformNames()
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, name+"/") }); i >= 0 {
		return names[i]
	}
	return nearest.Word(name, names)
}

// oci returns the platform in the form of an image index.
func (p Platform) oci() *v1.Platform {
	parts := strings.SplitN(p.Name, "/", 3)
	platform := &v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		platform.Variant = parts[2]
	}
	return platform
}

// Architecture returns the architecture that Go compiles for.
func (p Platform) Architecture() string { return p.oci().Architecture }
