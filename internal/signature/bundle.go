package signature

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	envelope "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/jobmesh/jobmesh/internal/provenance"
)

const (
	// MediaType is the media type of a bundle.
	MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// PredicateType is the predicate type of a statement that only says "signed".
	PredicateType = "https://sigstore.dev/cosign/sign/v1"

	payloadType = "application/vnd.in-toto+json"
)

// Annotations returns the annotations of a bundle's manifest, by which cosign lists it.
func Annotations(predicateType string) map[string]string {
	return map[string]string{
		"dev.sigstore.bundle.content":       "dsse-envelope",
		"dev.sigstore.bundle.predicateType": predicateType,
	}
}

// Statement returns a statement that a digest, as in sha256:..., was signed.
func Statement(digest string) ([]byte, error) {
	return provenance.WriteStatement(PredicateType, []provenance.Subject{{Digest: digest}}, &structpb.Struct{})
}

// signer adapts a Key to the library of envelopes.
type signer struct{ *Key }

func (s signer) Sign(_ context.Context, data []byte) ([]byte, error) { return s.sign(data) }

// KeyID returns "", as in cosign's bundles, because the verifier of cosign does not use it.
func (s signer) KeyID() (string, error) { return "", nil }

// Sign returns the bundle of a statement. The same statement gives the same bundle.
func (k *Key) Sign(statement []byte) ([]byte, error) {
	envelopes, err := dsse.NewEnvelopeSigner(signer{k})
	if err != nil {
		return nil, err
	}
	signed, err := envelopes.SignPayload(context.Background(), payloadType, statement)
	if err != nil {
		return nil, err
	}
	sig, err := base64.StdEncoding.DecodeString(signed.Signatures[0].Sig)
	if err != nil {
		return nil, err
	}
	return provenance.Canonical(&bundle.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &bundle.VerificationMaterial{Content: &bundle.VerificationMaterial_PublicKey{
			PublicKey: &common.PublicKeyIdentifier{Hint: k.Public().Hint()},
		}},
		Content: &bundle.Bundle_DsseEnvelope{DsseEnvelope: &envelope.Envelope{
			Payload: statement, PayloadType: payloadType, Signatures: []*envelope.Signature{{Sig: sig}},
		}},
	})
}

// Open returns the statement of a bundle whose signature the key verifies. The error says
// whether another key has signed it, or whether it was altered.
func (p PublicKey) Open(text []byte) ([]byte, error) {
	b, err := parse(text)
	if err != nil {
		return nil, err
	}
	e := b.GetDsseEnvelope()
	digest := sha256.Sum256(dsse.PAE(e.PayloadType, e.Payload))
	for _, s := range e.Signatures {
		if ecdsa.VerifyASN1(p.key, digest[:], s.Sig) {
			return e.Payload, nil
		}
	}
	// The hint proves nothing, but shows which of the two mistakes it is.
	if b.VerificationMaterial.GetPublicKey().GetHint() == p.Hint() {
		return nil, ErrAltered
	}
	return nil, ErrOtherKey
}

func parse(text []byte) (*bundle.Bundle, error) {
	b := &bundle.Bundle{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, b); err != nil {
		return nil, errors.New("is not a sigstore bundle")
	}
	e := b.GetDsseEnvelope()
	if e == nil || len(e.Signatures) == 0 || e.PayloadType != payloadType {
		return nil, fmt.Errorf("is a bundle of %q, not of an in-toto statement with a signature", e.GetPayloadType())
	}
	return b, nil
}
