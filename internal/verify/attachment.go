package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// A Subject is a manifest with the documents about it.
type Subject struct {
	// Name is what findings call the subject.
	Name, Digest string
	// Version is the version that its bills of materials have to name; "" where any will do.
	Version string
	// Programs has the digests of its files by their paths. It is nil for an index.
	Programs    map[string]string
	Attachments []image.Attachment
}

// attached returns those documents about a manifest that are of one type.
func (s Subject) attached(kind string) []image.Attachment {
	var found []image.Attachment
	for _, a := range s.Attachments {
		if a.Type == types.MediaType(kind) && a.Subject.String() == s.Digest {
			found = append(found, a)
		}
	}
	return found
}

// subjectsOf returns the subjects of an image: its index, and the manifest of every platform.
// programs has the digests of the files in the layers, by the names of the platforms.
func subjectsOf(s release.Stored, programs map[string]map[string]string) []Subject {
	subjects := []Subject{{Name: "image index", Digest: s.Result.Image.Digest, Version: s.Result.Version, Attachments: s.Attachments}}
	for _, p := range s.Result.Image.Platforms {
		subjects = append(subjects, Subject{
			Name: p.Platform, Digest: p.Digest, Version: s.Result.Version, Programs: programs[p.Platform], Attachments: s.Attachments,
		})
	}
	return subjects
}

// Attestations checks the documents about a manifest. Without a key it does not look at
// signatures, because anybody can make one.
func Attestations(s Subject, key *signature.PublicKey) []Finding {
	var found []Finding
	add := func(aspect, note string, err error) {
		found = append(found, Finding{Object: s.Name, Aspect: aspect, Note: note, Err: err})
	}
	statements, err := provenanceOf(s, key)
	if s.Version != "" {
		add("CycloneDX", "", checkBill(s, sbom.CycloneDX, statements))
		add("SPDX", "", checkBill(s, sbom.SPDX, statements))
	}
	add("provenance", "", err)
	switch {
	case key != nil:
		add("signature", "", checkSignature(s, *key))
	case len(s.attached(signature.MediaType)) > 0:
		add("signature", "there is one, not checked without --key", nil)
	}
	return found
}

// provenanceOf returns the statements about a manifest: those that the key has signed, or
// all of them where there is no key. There can be several, because several commits may give
// the same bytes, and because anybody can add a statement.
func provenanceOf(s Subject, key *signature.PublicKey) ([]provenance.Statement, error) {
	var all, signed []provenance.Statement
	isSigned, other := signedWith(s, key)
	err := errors.New("is missing")
	for _, a := range s.attached(provenance.MediaType) {
		one, wrong := provenance.Read(a.Content.Bytes)
		switch {
		case wrong != nil:
			err = wrong
		case one.PredicateType != provenance.PredicateType: // a statement of another kind
		case !one.Names(s.Digest):
			err = fmt.Errorf("is about %s, not about %s", namesOf(one), s.Digest)
		default:
			all = append(all, one)
			if isSigned[string(a.Content.Bytes)] {
				signed = append(signed, one)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, err
	case key == nil:
		return all, nil
	case len(signed) > 0:
		return signed, nil
	case other:
		return all, errors.New("is not the one that was signed")
	}
	return all, errors.New("is not signed with this key")
}

// signedWith returns the texts that the key has signed, and reports whether a statement of
// provenance is among them.
func signedWith(s Subject, key *signature.PublicKey) (texts map[string]bool, provenances bool) {
	texts = map[string]bool{}
	if key == nil {
		return texts, false
	}
	for _, a := range s.attached(signature.MediaType) {
		text, err := key.Open(a.Content.Bytes)
		if err != nil {
			continue // checkSignature says what is wrong
		}
		texts[string(text)] = true
		if statement, err := provenance.Read(text); err == nil && statement.PredicateType == provenance.PredicateType {
			provenances = true
		}
	}
	return texts, provenances
}

func namesOf(s provenance.Statement) string {
	var names []string
	for _, subject := range s.Subjects {
		names = append(names, subject.Digest)
	}
	return strings.Join(names, ", ")
}

// checkBill looks for a bill of materials that describes the manifest and that the
// provenance of the manifest names.
func checkBill(s Subject, kind string, statements []provenance.Statement) error {
	err := errors.New("is missing")
	for _, a := range s.attached(kind) {
		if err = checkOneBill(s, a, statements); err == nil {
			return nil
		}
	}
	return err
}

func checkOneBill(s Subject, a image.Attachment, statements []provenance.Statement) error {
	bill, err := sbom.Read(string(a.Type), a.Content.Bytes)
	switch {
	case err != nil:
		return err
	case bill.Digest != s.Digest:
		return fmt.Errorf("is about %s, not about %s", bill.Digest, s.Digest)
	case bill.Version != s.Version:
		return fmt.Errorf("says version %s, the image %s", bill.Version, s.Version)
	}
	for path, digest := range s.Programs {
		if bill.Files[path] != digest {
			return fmt.Errorf("has %q for %s, which is %s", bill.Files[path], path, digest)
		}
	}
	for path := range bill.Files {
		if _, ok := s.Programs[path]; !ok && s.Programs != nil {
			return fmt.Errorf("lists %s, which is not in the layer", path)
		}
	}
	for _, statement := range statements {
		for _, b := range statement.Byproducts {
			if b.Digest == a.Content.Descriptor.Digest.String() {
				return nil
			}
		}
	}
	return errors.New("is not one that the provenance names")
}

// checkSignature requires one signature of the key on the manifest. Signatures of others do
// no harm, because anybody can add them.
func checkSignature(s Subject, key signature.PublicKey) error {
	best, rank := errors.New("is missing"), 0
	worse := func(r int, err error) {
		if r > rank {
			best, rank = err, r
		}
	}
	for _, a := range s.attached(signature.MediaType) {
		text, err := key.Open(a.Content.Bytes)
		if errors.Is(err, signature.ErrAltered) {
			worse(4, err)
			continue
		}
		if err != nil {
			worse(1, err)
			continue
		}
		statement, err := provenance.Read(text)
		switch {
		case err != nil:
			worse(2, err)
		case !statement.Names(s.Digest):
			worse(3, fmt.Errorf("is of %s, not of %s", namesOf(statement), s.Digest))
		case statement.PredicateType == signature.PredicateType:
			return nil
		}
	}
	return best
}

// chartIn checks a chart in a registry.
func chartIn(a release.Artifact, top v1.Descriptor, w Wanted) Look {
	subject := Subject{Name: "chart", Digest: top.Digest.String(), Attachments: a.Attachments}
	name, version := a.Manifest.Annotations[ocispec.AnnotationTitle], a.Manifest.Annotations[ocispec.AnnotationVersion]
	look := Look{Name: name, Version: version, Digest: subject.Digest, Stored: release.Stored{Unread: a.Unread}}
	add := func(aspect, note string, err error) {
		look.Findings = append(look.Findings, Finding{Object: subject.Name, Aspect: aspect, Note: note, Err: err})
	}
	add("name", "", sameName(name, w.Name))
	add("version", "", sameVersion(version, w.Tag))
	add("archive", "", errors.Join(chart.Is(a.Layer.Bytes, name, version), sameMetadata(a.Config, name, version)))
	pin, err := pinOf(a.Layer.Bytes)
	if err == nil {
		statements, _ := provenanceOf(subject, w.Key) // what is wrong with them is said below
		err = samePin(pin, statements)
	}
	add("pin", pin, err)
	look.Findings = slices.Concat(look.Findings, Attestations(subject, w.Key), noted(a.Notes))
	return look
}

// sameMetadata compares the metadata of a chart that a registry shows with the Chart.yaml in
// the chart itself.
func sameMetadata(config image.Blob, name, version string) error {
	shown, err := decode[struct{ Name, Version string }](config.Bytes)
	if err == nil && (shown.Name != name || shown.Version != version) {
		err = fmt.Errorf("is shown as %s %s, and is %s %s", shown.Name, shown.Version, name, version)
	}
	return err
}

// pinOf returns the digest of the image to which a chart, or the library chart that it
// carries, is pinned.
func pinOf(archive []byte) (string, error) {
	if library, err := chart.LibraryIn(archive); err == nil {
		archive = library
	}
	pin, err := chart.PinnedDigest(archive)
	if err == nil && !strings.HasPrefix(pin, "sha256:") {
		err = fmt.Errorf("is to %q, which is no digest", pin)
	}
	return pin, err
}

// samePin requires that one of the statements, if there are any, names the pinned image.
func samePin(pin string, statements []provenance.Statement) (err error) {
	for _, statement := range statements {
		for _, d := range statement.Dependencies {
			if d.Name != "image" {
				continue
			}
			if "sha256:"+d.Digest["sha256"] == pin {
				return nil
			}
			err = fmt.Errorf("is to %s, and the provenance says sha256:%s", pin, d.Digest["sha256"])
		}
	}
	return err
}
