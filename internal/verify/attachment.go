package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// A Subject is a manifest with the documents about it.
type Subject struct {
	// Name is how findings call it.
	Name, Digest string
	// Version is what bills have to say; "" where none is wanted.
	Version string
	// Programs are the digests of its files by their path, nil for an index.
	Programs    map[string]string
	Attachments []image.Attachment
}

// attached are the documents of one type.
func (s Subject) attached(kind string) []image.Attachment {
	var found []image.Attachment
	for _, a := range s.Attachments {
		if a.Type == types.MediaType(kind) && a.Subject.String() == s.Digest {
			found = append(found, a)
		}
	}
	return found
}

// Subjects of an image are the index and every platform. The programs are those
// that its layers hold.
func subjectsOf(s release.Stored, programs map[string]map[string]string) []Subject {
	subjects := []Subject{{Name: "image index", Digest: s.Result.Image.Digest, Version: s.Result.Version, Attachments: s.Attachments}}
	for _, p := range s.Result.Image.Platforms {
		subjects = append(subjects, Subject{
			Name: p.Platform, Digest: p.Digest, Version: s.Result.Version, Programs: programs[p.Platform], Attachments: s.Attachments,
		})
	}
	return subjects
}

// Attestations looks at the documents about a manifest. Without a key signatures
// are not looked at: anybody can make one.
func Attestations(s Subject, key *signature.PublicKey) []Finding {
	var found []Finding
	add := func(aspect, note string, err error) {
		found = append(found, Finding{Object: s.Name, Aspect: aspect, Note: note, Err: err})
	}
	statement, content, err := theProvenance(s)
	if s.Version != "" {
		for aspect, kind := range map[string]string{"CycloneDX": sbom.CycloneDX, "SPDX": sbom.SPDX} {
			add(aspect, "", checkBill(s, kind, statement))
		}
		sortByAspect(found)
	}
	if err == nil && key != nil {
		err = signedAs(s, *key, content)
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

func sortByAspect(found []Finding) {
	if len(found) == 2 && found[0].Aspect > found[1].Aspect {
		found[0], found[1] = found[1], found[0]
	}
}

// theProvenance returns the statement about a manifest.
func theProvenance(s Subject) (statement provenance.Statement, content []byte, err error) {
	err = errors.New("is missing")
	for _, a := range s.attached(provenance.MediaType) {
		var one provenance.Statement
		one, err = provenance.Read(a.Content.Bytes)
		switch {
		case err != nil:
		case one.PredicateType != provenance.PredicateType:
			err = errors.New("is missing") // a statement of another kind
		case !one.Names(s.Digest):
			err = fmt.Errorf("is about %s, not about %s", namesOf(one), s.Digest)
		default:
			return one, a.Content.Bytes, nil
		}
	}
	return statement, nil, err
}

func namesOf(s provenance.Statement) string {
	var names []string
	for _, subject := range s.Subjects {
		names = append(names, subject.Digest)
	}
	return strings.Join(names, ", ")
}

// checkBill looks for a bill that is about the manifest and that its provenance
// names.
func checkBill(s Subject, kind string, statement provenance.Statement) error {
	err := errors.New("is missing")
	for _, a := range s.attached(kind) {
		if err = checkOneBill(s, a, statement); err == nil {
			return nil
		}
	}
	return err
}

func checkOneBill(s Subject, a image.Attachment, statement provenance.Statement) error {
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
	for _, b := range statement.Byproducts {
		if b.Digest == a.Content.Descriptor.Digest.String() {
			return nil
		}
	}
	return errors.New("is not one that the provenance names")
}

// checkSignature wants one signature of the key on the manifest. Others may be
// there: anybody can add them.
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

// signedAs wants a signature of the key on the very statement.
func signedAs(s Subject, key signature.PublicKey, content []byte) error {
	other := false
	for _, a := range s.attached(signature.MediaType) {
		text, err := key.Open(a.Content.Bytes)
		if err != nil {
			continue // checkSignature says what is wrong
		}
		if string(text) == string(content) {
			return nil
		}
		if statement, err := provenance.Read(text); err == nil && statement.PredicateType == provenance.PredicateType {
			other = true
		}
	}
	if other {
		return errors.New("is not the one that was signed")
	}
	return errors.New("is not signed with this key")
}

// A PublishedChart is a chart as it was read from a registry.
type PublishedChart struct {
	Subject
	Archive []byte
}

// Chart looks at a chart that was published.
func Chart(c PublishedChart, key *signature.PublicKey) []Finding {
	pin, err := pinOf(c.Archive)
	if err == nil {
		// Without a statement there is nothing to compare, which is said of it below.
		if statement, _, missing := theProvenance(c.Subject); missing == nil {
			err = samePin(pin, statement)
		}
	}
	return append([]Finding{{Object: c.Name, Aspect: "pin", Note: pin, Err: err}}, Attestations(c.Subject, key)...)
}

// pinOf is the image that a chart is pinned to, or the library that it carries.
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

func samePin(pin string, statement provenance.Statement) error {
	for _, d := range statement.Dependencies {
		if d.Name == "image" && "sha256:"+d.Digest["sha256"] != pin {
			return fmt.Errorf("is to %s, and the provenance says sha256:%s", pin, d.Digest["sha256"])
		}
	}
	return nil
}
