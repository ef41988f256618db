package sbom

import (
	"bytes"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const noAssertion = "NOASSERTION"

// WriteSPDX writes the bill of an image as SPDX 2.3 in JSON.
func WriteSPDX(x Image) ([]byte, error) {
	b := billOf(x)
	doc := spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      b.name,
		DocumentNamespace: namespace(b),
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: b.tool}},
			Created:  b.created.UTC().Format(time.RFC3339),
		},
		Relationships: []*spdx.Relationship{{
			RefA: common.MakeDocElementID("", "DOCUMENT"), Relationship: "DESCRIBES", RefB: common.MakeDocElementID("", b.subject.ref),
		}},
	}
	for _, p := range append([]part{b.subject}, b.others...) {
		if p.kind == file {
			doc.Files = append(doc.Files, spdxFile(p))
		} else {
			doc.Packages = append(doc.Packages, spdxPackage(p))
		}
	}
	for _, r := range b.relations {
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{
			RefA: common.MakeDocElementID("", r.from), Relationship: string(r.is), RefB: common.MakeDocElementID("", r.to),
		})
	}
	var out bytes.Buffer
	err := spdxjson.Write(doc, &out, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
	return out.Bytes(), err
}

// namespace returns a unique address, as SPDX demands. Nothing need exist at that address.
func namespace(b bill) string {
	at := b.source
	if at == "" {
		at = "https://spdx.org/spdxdocs"
	}
	return at + "/spdx/" + b.name + "-" + b.id.String()
}

// purposes are the names that SPDX has for the kinds that it treats as packages.
var purposes = map[kind]string{container: "CONTAINER", archive: "ARCHIVE", program: "APPLICATION", library: "LIBRARY"}

func spdxPackage(p part) *spdx.Package {
	pkg := &spdx.Package{
		PackageName:             p.name,
		PackageSPDXIdentifier:   common.ElementID(p.ref),
		PackageVersion:          p.version,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion,
		PackageHomePage:         p.address,
		PackageLicenseConcluded: orNoAssertion(p.license),
		PackageLicenseDeclared:  orNoAssertion(p.license),
		PackageCopyrightText:    noAssertion,
		PrimaryPackagePurpose:   purposes[p.kind],
		PackageExternalReferences: []*spdx.PackageExternalReference{
			{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: p.purl},
		},
	}
	if p.supplier != "" {
		pkg.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: p.supplier}
	}
	if p.sha256 != "" {
		pkg.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: p.sha256}}
	}
	if p.sum != "" {
		// This is a hash over a list of files, for which SPDX has no algorithm.
		pkg.PackageSourceInfo = "go.sum has " + p.sum
	}
	return pkg
}

func spdxFile(p part) *spdx.File {
	f := &spdx.File{
		FileName:           p.name,
		FileSPDXIdentifier: common.ElementID(p.ref),
		FileTypes:          []string{"BINARY"},
		Checksums: []common.Checksum{
			{Algorithm: common.SHA1, Value: p.sha1}, // SPDX 2.3 demands a SHA-1 for every file
			{Algorithm: common.SHA256, Value: p.sha256},
		},
		LicenseConcluded:   orNoAssertion(p.license),
		LicenseInfoInFiles: []string{noAssertion},
		FileCopyrightText:  noAssertion,
		FileComment:        "version " + p.version,
	}
	if p.address != "" {
		f.FileComment += ", downloaded from " + p.address
	}
	return f
}

func orNoAssertion(text string) string {
	if text == "" {
		return noAssertion
	}
	return text
}
