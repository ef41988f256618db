// Package attest makes the documents that go with a release: bills of materials and provenance,
// for the image index and for each platform. It does not change the image.
package attest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/modfile"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/sbom"
)

// Facts are what is known about a build beside the image itself.
type Facts struct {
	// Toolchain is the release of Go, as in go1.26.8.
	Toolchain string
	// Environment is the environment of the compiler, such as GOFLAGS.
	Environment []string
	Revision    provenance.Revision
	// Modules are the modules on which the bytes of a layer depend.
	Modules []provenance.Material
}

// compressor is the module whose release decides the bytes of a layer.
const compressor = "github.com/klauspost/compress"

// Modules reads the release of the compressor from go.mod and go.sum.
func Modules(sources string) ([]provenance.Material, error) {
	text, err := os.ReadFile(filepath.Join(sources, "go.mod"))
	if err != nil {
		return nil, err
	}
	module, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(filepath.Join(sources, "go.sum"))
	if err != nil {
		return nil, err
	}
	for _, r := range module.Require {
		if r.Mod.Path != compressor {
			continue
		}
		m := provenance.Material{Name: "compressor", URI: "pkg:golang/" + compressor + "@" + r.Mod.Version}
		for line := range strings.Lines(string(sums)) {
			if sum, ok := strings.CutPrefix(strings.TrimSpace(line), compressor+" "+r.Mod.Version+" "); ok {
				m.Notes = map[string]any{"go.sum": sum}
			}
		}
		return []provenance.Material{m}, nil
	}
	return nil, fmt.Errorf("go.mod does not name %s", compressor)
}

// Image returns the documents about an image.
func Image(x *image.Index, facts Facts) ([]image.Attachment, error) {
	var all []image.Attachment
	var byproducts []provenance.Byproduct
	parts := partsOf(x)
	for _, p := range parts {
		for _, kind := range []struct {
			mediaType types.MediaType
			write     func(sbom.Image) ([]byte, error)
		}{{sbom.SPDX, sbom.WriteSPDX}, {sbom.CycloneDX, sbom.WriteCycloneDX}} {
			text, err := kind.write(p.bill)
			if err != nil {
				return nil, err
			}
			a, err := image.Attach(p.descriptor, kind.mediaType, text, Annotations(p.name, x.Recipe.Created))
			if err != nil {
				return nil, err
			}
			all = append(all, a)
			byproducts = append(byproducts, provenance.Byproduct{
				Name: p.name, MediaType: string(kind.mediaType), Digest: a.Content.Descriptor.Digest.String(),
			})
		}
	}
	statement, err := provenance.Write(buildOf(x, facts, parts, byproducts))
	if err != nil {
		return nil, err
	}
	// One statement is about all of them, and is attached to each.
	for _, p := range parts {
		a, err := image.Attach(p.descriptor, provenance.MediaType, statement, withPredicate(Annotations(p.name, x.Recipe.Created)))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// Annotations returns the annotations of every attachment: the name of its subject, and the
// date of the subject, which does not depend on the clock.
func Annotations(name string, created time.Time) map[string]string {
	return map[string]string{
		ocispec.AnnotationCreated: provenance.Date(created),
		ocispec.AnnotationTitle:   name,
	}
}

func withPredicate(annotations map[string]string) map[string]string {
	annotations["in-toto.io/predicate-type"] = provenance.PredicateType
	return annotations
}

// A part is the index or one platform.
type part struct {
	name       string
	descriptor v1.Descriptor
	bill       sbom.Image
}

func partsOf(x *image.Index) []part {
	base := sbom.Image{
		Name: x.Recipe.Name, Version: x.Recipe.Version, Created: x.Recipe.Created,
		License:  x.Recipe.Labels[ocispec.AnnotationLicenses],
		Source:   x.Recipe.Labels[ocispec.AnnotationSource],
		Supplier: x.Recipe.Labels[ocispec.AnnotationVendor],
	}
	index := base
	index.Digest = x.Blob.Descriptor.Digest.String()
	var children []part
	for _, c := range x.Children {
		bill := base
		bill.Digest, bill.Platform = c.Manifest.Descriptor.Digest.String(), c.Platform.Name
		bill.Files = []sbom.File{{Path: x.Recipe.Path, Content: sbom.ContentOf(c.Program)}}
		for _, f := range c.Files {
			bill.Files = append(bill.Files, sbom.File{Path: f.Path, Content: sbom.ContentOf(f.Bytes), Origin: &sbom.Origin{URL: f.URL, Version: f.Version, License: f.License}})
		}
		index.Children = append(index.Children, bill)
		children = append(children, part{name: x.Recipe.Name + " " + c.Platform.Name, descriptor: c.Manifest.Descriptor, bill: bill})
	}
	return append([]part{{name: x.Recipe.Name, descriptor: x.Blob.Descriptor, bill: index}}, children...)
}

func buildOf(x *image.Index, facts Facts, parts []part, byproducts []provenance.Byproduct) provenance.Build {
	b := provenance.Build{
		Type:       provenance.ImageBuild,
		Version:    x.Recipe.Version,
		Byproducts: byproducts,
		Materials: append([]provenance.Material{
			facts.Revision.Material(x.Recipe.Labels[ocispec.AnnotationSource]),
			{Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(facts.Toolchain, "go")},
		}, facts.Modules...),
	}
	var platforms []any
	perPlatform := map[string]any{}
	for _, c := range x.Children {
		platforms = append(platforms, c.Platform.Name)
		perPlatform[c.Platform.Name] = map[string]any{
			"environment": list(c.Platform.Environment()), "goFlags": list(x.Recipe.GoFlags()),
		}
		for _, f := range c.Files {
			digest := image.NewBlob("", f.Bytes).Descriptor.Digest
			b.Materials = append(b.Materials, provenance.Material{
				Name: strings.TrimPrefix(f.Path, "/") + " " + c.Platform.Name, URI: f.URL, Digest: map[string]string{digest.Algorithm: digest.Hex},
			})
		}
	}
	b.External = map[string]any{
		"image": x.Recipe.Name, "platforms": platforms, "compression": string(x.Recipe.Compression), "created": provenance.Date(x.Recipe.Created),
	}
	b.Internal = map[string]any{
		"package": x.Recipe.Package, "environment": list(facts.Environment), "platforms": perPlatform,
		"compression": string(x.Recipe.Compression),
	}
	for _, p := range parts {
		b.Subjects = append(b.Subjects, provenance.Subject{Name: p.name, Digest: p.descriptor.Digest.String()})
	}
	return b
}

func list(values []string) []any {
	all := []any{}
	for _, v := range values {
		all = append(all, v)
	}
	return all
}
