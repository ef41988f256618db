// Package provenance says how an image was made: an in-toto statement with a
// SLSA v1 predicate.
//
// It depends on its input alone and contains nothing of the machine: no host, no user, no path,
// no time of the build. The commit may differ between two builds of the same image, so it is
// named here and nowhere in the image.
package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// MediaType is the media type of a statement.
	MediaType = "application/vnd.in-toto+json"
	// PredicateType is the predicate type of SLSA provenance, version 1.
	PredicateType = "https://slsa.dev/provenance/v1"

	// ImageBuild, ChartBuild and ArchiveBuild are build types, which define the parameters;
	// docs/verify-what-you-run.md lists these.
	ImageBuild   = "https://github.com/jobmesh/jobmesh/build/image/v1"
	ChartBuild   = "https://github.com/jobmesh/jobmesh/build/chart/v1"
	ArchiveBuild = "https://github.com/jobmesh/jobmesh/build/archive/v1"

	builder = "https://github.com/jobmesh/jobmesh/builder/local"
)

// A Subject is a product of the build.
type Subject struct {
	Name string
	// Digest is the digest, as in sha256:....
	Digest string
}

// A Material is an input of the build.
type Material struct {
	Name string
	// URI identifies it: a package URL, or git+https.
	URI string
	// Digest has the digests by algorithm; it may be empty.
	Digest map[string]string
	// Notes are annotations of the material.
	Notes map[string]any
}

// A Build is the content of a statement.
type Build struct {
	Type     string
	Subjects []Subject
	// External parameters are those that the caller has chosen, and Internal those that the
	// builder has added.
	External, Internal map[string]any
	Materials          []Material
	// Version is the version of the builder.
	Version string
	// Byproducts are documents that were made with the subjects: bills of materials.
	Byproducts []Byproduct
}

// A Byproduct is a document about a subject.
type Byproduct struct {
	Name, MediaType, Digest string
}

// Write writes the statement. The same build gives the same bytes.
func Write(b Build) ([]byte, error) {
	external, err := structpb.NewStruct(b.External)
	if err != nil {
		return nil, err
	}
	internal, err := structpb.NewStruct(b.Internal)
	if err != nil {
		return nil, err
	}
	predicate := &slsa.Provenance{
		BuildDefinition: &slsa.BuildDefinition{BuildType: b.Type, ExternalParameters: external, InternalParameters: internal},
		RunDetails:      &slsa.RunDetails{Builder: &slsa.Builder{Id: builder, Version: map[string]string{"jobmesh": b.Version}}},
	}
	for _, m := range b.Materials {
		notes, err := structpb.NewStruct(m.Notes)
		if err != nil {
			return nil, err
		}
		if len(m.Notes) == 0 {
			notes = nil
		}
		predicate.BuildDefinition.ResolvedDependencies = append(predicate.BuildDefinition.ResolvedDependencies,
			&intoto.ResourceDescriptor{Name: m.Name, Uri: m.URI, Digest: m.Digest, Annotations: notes})
	}
	for _, p := range b.Byproducts {
		predicate.RunDetails.Byproducts = append(predicate.RunDetails.Byproducts,
			&intoto.ResourceDescriptor{Name: p.Name, MediaType: p.MediaType, Digest: digestSet(p.Digest)})
	}
	if err := predicate.Validate(); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(predicate)
	if err != nil {
		return nil, err
	}
	body := &structpb.Struct{}
	if err := protojson.Unmarshal(text, body); err != nil {
		return nil, err
	}
	return WriteStatement(PredicateType, b.Subjects, body)
}

// WriteStatement writes any statement about subjects, as canonical JSON.
func WriteStatement(predicateType string, subjects []Subject, predicate *structpb.Struct) ([]byte, error) {
	statement := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: predicateType, Predicate: predicate}
	for _, s := range subjects {
		statement.Subject = append(statement.Subject, &intoto.ResourceDescriptor{Name: s.Name, Digest: digestSet(s.Digest)})
	}
	return Canonical(statement)
}

// Canonical returns a message as JSON with sorted keys and no white space. protojson adds white
// space at random, on purpose, so that nobody relies on its bytes.
func Canonical(message proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

func digestSet(digest string) map[string]string {
	algorithm, value, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: value}
}

// A Statement is a parsed statement.
type Statement struct {
	PredicateType string
	Subjects      []Subject
	// Byproducts are empty for a predicate that is not SLSA's.
	Byproducts []Byproduct
	// Dependencies are the inputs of the build.
	Dependencies []Material
	// Parameters are the external parameters.
	Parameters map[string]any
	// Internal are the parameters that the builder has added.
	Internal map[string]any
	// Version is the version of the builder.
	Version string
}

// Names reports whether a digest is among the subjects.
func (s Statement) Names(digest string) bool {
	for _, subject := range s.Subjects {
		if subject.Digest == digest {
			return true
		}
	}
	return false
}

// Read parses a statement and checks that it is complete.
func Read(text []byte) (Statement, error) {
	var s Statement
	statement := &intoto.Statement{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, statement); err != nil {
		return s, errors.New("is not an in-toto statement")
	}
	if err := statement.Validate(); err != nil {
		return s, fmt.Errorf("is not a whole in-toto statement: %w", err)
	}
	s.PredicateType = statement.PredicateType
	for _, r := range statement.Subject {
		s.Subjects = append(s.Subjects, Subject{Name: r.GetName(), Digest: "sha256:" + r.GetDigest()["sha256"]})
	}
	if s.PredicateType != PredicateType {
		return s, nil
	}
	predicate := &slsa.Provenance{}
	inner, err := protojson.Marshal(statement.Predicate)
	if err == nil {
		err = (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(inner, predicate)
	}
	if err == nil {
		err = predicate.Validate()
	}
	if err != nil {
		return s, fmt.Errorf("is not SLSA provenance: %w", err)
	}
	for _, r := range predicate.RunDetails.Byproducts {
		s.Byproducts = append(s.Byproducts, Byproduct{Name: r.GetName(), MediaType: r.GetMediaType(), Digest: "sha256:" + r.GetDigest()["sha256"]})
	}
	for _, r := range predicate.BuildDefinition.ResolvedDependencies {
		s.Dependencies = append(s.Dependencies, Material{Name: r.GetName(), URI: r.GetUri(), Digest: r.GetDigest(), Notes: r.GetAnnotations().AsMap()})
	}
	s.Parameters = predicate.BuildDefinition.ExternalParameters.AsMap()
	s.Internal = predicate.BuildDefinition.InternalParameters.AsMap()
	s.Version = predicate.RunDetails.Builder.Version["jobmesh"]
	return s, nil
}

// Date returns a time in the form that statements have.
func Date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
