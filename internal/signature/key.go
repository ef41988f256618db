// Package signature signs statements with a local key, and verifies such signatures. It writes
// what cosign 3 writes: a sigstore bundle, version 0.3, that contains a DSSE envelope with an
// in-toto statement.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A Key is a private key that signs.
type Key struct{ private *ecdsa.PrivateKey }

const generate = "cosign generate-key-pair makes one"

// ReadKey reads a private key, ECDSA P-256, in PEM: PKCS #8, SEC 1, or the form that cosign
// generate-key-pair writes. The parameter name is the name of the key in errors; passphrase is
// called for an encrypted key. The errors are fault.Usage, and fault.Auth for a wrong
// passphrase.
func ReadKey(name string, text []byte, passphrase func() ([]byte, error)) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s is not a private key in PEM", name), generate)
	}
	der := block.Bytes
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		secret, err := passphrase()
		if err != nil {
			return nil, err
		}
		if der, err = encrypted.Decrypt(block.Bytes, secret); err != nil {
			return nil, fault.New(fault.Auth, fmt.Errorf("key %s does not open with this passphrase", name),
				"if COSIGN_PASSWORD is set, it is the passphrase")
		}
	case "EC PRIVATE KEY":
		private, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("key %s: %w", name, err), generate)
		}
		return newKey(name, private)
	case "RSA PRIVATE KEY":
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s is RSA, and signatures are made with ECDSA P-256", name), generate)
	case "PRIVATE KEY":
	case "ENCRYPTED PRIVATE KEY":
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s is encrypted in PKCS #8, which is not read", name),
			"cosign import-key-pair --key "+name+" turns it into one that is")
	default:
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s is a %s, not a private key", name, block.Type), generate)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s: %w", name, err), generate)
	}
	return newKey(name, parsed)
}

func newKey(name string, private any) (*Key, error) {
	k, ok := private.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fault.New(fault.Usage, fmt.Errorf("key %s is %s, and signatures are made with ECDSA P-256", name, describe(private)), generate)
	}
	return &Key{private: k}, nil
}

func describe(key any) string {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return "ECDSA " + k.Params().Name
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	case *rsa.PrivateKey, *rsa.PublicKey:
		return "RSA"
	case ed25519.PrivateKey, ed25519.PublicKey:
		return "Ed25519"
	}
	return "of another kind"
}

// Public returns the key that verifies its signatures.
func (k *Key) Public() PublicKey { return PublicKey{key: &k.private.PublicKey} }

// sign is deterministic (RFC 6979), because it gets no source of randomness. The same key and
// statement give the same bundle, so signing again adds nothing.
func (k *Key) sign(data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	return k.private.Sign(nil, digest[:], crypto.SHA256)
}

// Detached returns the signature of bytes. The command openssl dgst -sha256 -verify verifies
// it.
func (k *Key) Detached(data []byte) ([]byte, error) { return k.sign(data) }

// Signer returns a deterministic crypto.Signer, with which other kinds of signatures are made.
func (k *Key) Signer() crypto.Signer { return deterministic{k.private} }

// deterministic ignores the source of randomness that its caller passes.
type deterministic struct{ *ecdsa.PrivateKey }

func (d deterministic) Sign(_ io.Reader, digest []byte, hash crypto.SignerOpts) ([]byte, error) {
	return d.PrivateKey.Sign(nil, digest, hash)
}

// A PublicKey verifies signatures.
type PublicKey struct{ key *ecdsa.PublicKey }

// ReadPublicKey reads a public key in PEM, as cosign generate-key-pair writes it. An error is
// fault.Usage.
func ReadPublicKey(name string, text []byte) (PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return PublicKey{}, fault.New(fault.Usage, fmt.Errorf("key %s is not a public key in PEM", name), "cosign public-key --key cosign.key prints it")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fault.New(fault.Usage, fmt.Errorf("key %s: %w", name, err))
	}
	k, ok := parsed.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return PublicKey{}, fault.New(fault.Usage, fmt.Errorf("key %s is %s, and signatures are checked with ECDSA P-256", name, describe(parsed)))
	}
	return PublicKey{key: k}, nil
}

// Hint returns the hint by which bundles name the key, as sigstore's own tools write it.
func (p PublicKey) Hint() string {
	der, err := x509.MarshalPKIXPublicKey(p.key)
	if err != nil {
		panic(err) // cannot happen: the key was parsed, so it is on the curve
	}
	digest := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(digest[:])
}

// These are the reasons why a bundle is refused.
var (
	ErrOtherKey = errors.New("was signed with another key")
	ErrAltered  = errors.New("was altered after it was signed")
)
