package sbom

import (
	"bytes"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// WriteCycloneDX writes the bill of an image as CycloneDX 1.6 in JSON.
func WriteCycloneDX(x Image) ([]byte, error) {
	b := billOf(x)
	doc := cdx.NewBOM()
	doc.SerialNumber = b.id.URN()
	subject := component(b.subject)
	doc.Metadata = &cdx.Metadata{
		Timestamp: b.created.UTC().Format(time.RFC3339),
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: "jobmesh", Version: x.Version},
		}},
		Component: &subject,
	}
	components := []cdx.Component{}
	for _, p := range b.others {
		components = append(components, component(p))
	}
	doc.Components = &components
	doc.Dependencies = dependenciesOf(b)
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(doc, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

var componentTypes = map[kind]cdx.ComponentType{
	container: cdx.ComponentTypeContainer, archive: cdx.ComponentTypeFile, file: cdx.ComponentTypeFile, program: cdx.ComponentTypeApplication, library: cdx.ComponentTypeLibrary,
}

func component(p part) cdx.Component {
	c := cdx.Component{BOMRef: p.ref, Type: componentTypes[p.kind], Name: p.name, Version: p.version, PackageURL: p.purl}
	if p.supplier != "" {
		c.Supplier = &cdx.OrganizationalEntity{Name: p.supplier}
	}
	if p.license != "" {
		c.Licenses = &cdx.Licenses{{Expression: p.license}}
	}
	if p.sha256 != "" {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: p.sha256}}
	}
	switch {
	case p.address != "" && p.kind == file:
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeDistribution, URL: p.address}}
	case p.address != "":
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeWebsite, URL: p.address}}
	}
	if p.sum != "" {
		c.Properties = &[]cdx.Property{{Name: "jobmesh:go.sum", Value: p.sum}}
	}
	return c
}

// dependenciesOf turns the relations into lists. A variant is listed under its index, because a
// reader of the index looks for it there.
func dependenciesOf(b bill) *[]cdx.Dependency {
	needs := map[string][]string{}
	for _, r := range b.relations {
		if r.is == variantOf {
			r.from, r.to = r.to, r.from
		}
		needs[r.from] = append(needs[r.from], r.to)
	}
	list := []cdx.Dependency{}
	for _, p := range append([]part{b.subject}, b.others...) {
		d := cdx.Dependency{Ref: p.ref}
		if needed := needs[p.ref]; len(needed) > 0 {
			d.Dependencies = &needed
		}
		list = append(list, d)
	}
	return &list
}
