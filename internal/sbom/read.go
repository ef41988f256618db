package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// A Bill is what a bill of materials says about its image.
type Bill struct {
	// Digest is the digest of the manifest, as in sha256:....
	Digest  string
	Version string
	// Files are the digests of the files, as in sha256:..., keyed by their path.
	Files map[string]string
}

// Read parses a bill with the media type SPDX or CycloneDX.
func Read(mediaType string, text []byte) (Bill, error) {
	if mediaType == SPDX {
		return readSPDX(text)
	}
	return readCycloneDX(text)
}

func readSPDX(text []byte) (b Bill, err error) {
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		return b, fmt.Errorf("is not SPDX: %w", err)
	}
	b.Files = map[string]string{}
	for _, f := range doc.Files {
		b.Files[f.FileName] = sha256In(f.Checksums)
	}
	for _, r := range doc.Relationships {
		if r.Relationship != common.TypeRelationshipDescribe || r.RefA.ElementRefID != "DOCUMENT" {
			continue
		}
		for _, p := range doc.Packages {
			if p.PackageSPDXIdentifier == r.RefB.ElementRefID {
				b.Digest, b.Version = sha256In(p.PackageChecksums), p.PackageVersion
				return b, nil
			}
		}
	}
	return b, errors.New("describes nothing")
}

func sha256In(sums []common.Checksum) string {
	for _, c := range sums {
		if c.Algorithm == common.SHA256 {
			return "sha256:" + strings.ToLower(c.Value)
		}
	}
	return ""
}

func readCycloneDX(text []byte) (b Bill, err error) {
	var doc cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&doc); err != nil {
		return b, fmt.Errorf("is not CycloneDX: %w", err)
	}
	if doc.Metadata == nil || doc.Metadata.Component == nil {
		return b, errors.New("describes nothing")
	}
	b = Bill{Digest: hashOf(*doc.Metadata.Component), Version: doc.Metadata.Component.Version, Files: map[string]string{}}
	if doc.Components != nil {
		for _, c := range *doc.Components {
			if c.Type == cdx.ComponentTypeFile {
				b.Files[c.Name] = hashOf(c)
			}
		}
	}
	return b, nil
}

func hashOf(c cdx.Component) string {
	if c.Hashes != nil {
		for _, h := range *c.Hashes {
			if h.Algorithm == cdx.HashAlgoSHA256 {
				return "sha256:" + strings.ToLower(h.Value)
			}
		}
	}
	return ""
}
