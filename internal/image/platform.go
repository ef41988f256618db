// Package image makes container images out of programs of this repository,
// without a container daemon, a base image or a network: the same sources give
// the same digests on any machine.
package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A Platform is one row of what images are built for.
type Platform struct {
	// Name as in an image index: os/architecture[/variant].
	Name string
	// env selects the platform for the Go compiler. The micro-architecture is
	// always said, at the level every such machine has, because the caller's
	// GOAMD64 and its kin would otherwise change the binary under one name.
	env []string
}

var platforms = []Platform{
	{Name: "linux/amd64", env: []string{"GOARCH=amd64", "GOAMD64=v1"}},
	{Name: "linux/arm64", env: []string{"GOARCH=arm64", "GOARM64=v8.0"}},
	{Name: "linux/arm/v7", env: []string{"GOARCH=arm", "GOARM=7"}},
	{Name: "linux/ppc64le", env: []string{"GOARCH=ppc64le", "GOPPC64=power8"}},
	{Name: "linux/s390x", env: []string{"GOARCH=s390x"}},
	{Name: "linux/riscv64", env: []string{"GOARCH=riscv64", "GORISCV64=rva20u64"}},
}

// Environment is what selects the platform for the Go compiler.
func (p Platform) Environment() []string { return slices.Clone(p.env) }

// PlatformNames returns all platforms in the order of the index.
func PlatformNames() []string {
	names := make([]string, len(platforms))
	for i := range platforms {
		names[i] = platforms[i].Name
	}
	return names
}

// SelectPlatforms returns the named platforms in the order of the index. All
// unknown names are told in one error, each with the nearest known one.
func SelectPlatforms(names []string) ([]Platform, error) {
	var selected []Platform
	var wrong []string
	asked := map[string]bool{}
	for _, name := range names {
		switch {
		case asked[name]:
			wrong = append(wrong, fmt.Sprintf("platform %s is given twice", name))
		case !known(name):
			wrong = append(wrong, fmt.Sprintf("platform %s is unknown, %s?", name, nearest(name)))
		}
		asked[name] = true
	}
	if len(wrong) > 0 {
		return nil, fault.New(fault.Usage, errors.New(strings.Join(wrong, "; ")),
			"the platforms are "+strings.Join(PlatformNames(), ", "))
	}
	for _, p := range platforms {
		if asked[p.Name] {
			selected = append(selected, p)
		}
	}
	return selected, nil
}

func known(name string) bool {
	for _, p := range platforms {
		if p.Name == name {
			return true
		}
	}
	return false
}

// nearest returns the platform whose name takes the fewest edits.
func nearest(name string) string {
	best, least := "", -1
	for _, p := range platforms {
		if d := distance(name, p.Name); least < 0 || d < least {
			best, least = p.Name, d
		}
	}
	return best
}

// distance is Levenshtein's, with two swapped neighbours as one edit, since
// amd46 should be as near to amd64 as a single slip is.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// oci returns the platform as an image index has it.
func (p Platform) oci() *v1.Platform {
	parts := strings.SplitN(p.Name, "/", 3)
	platform := &v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		platform.Variant = parts[2]
	}
	return platform
}
