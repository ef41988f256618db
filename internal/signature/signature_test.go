package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/provenance"
)

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return der
}

func newPrivate(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return private
}

func noPassphrase() ([]byte, error) { return nil, errors.New("not asked for") }

func read(t *testing.T, private *ecdsa.PrivateKey) *Key {
	t.Helper()
	k, err := ReadKey("k", inPEM("PRIVATE KEY", pkcs8(t, private)), noPassphrase)
	require.NoError(t, err)
	return k
}

var digest = "sha256:" + strings.Repeat("a", 64)

func TestSignAndOpen(t *testing.T) {
	k := read(t, newPrivate(t))
	statement, err := Statement(digest)
	require.NoError(t, err)
	text, err := k.Sign(statement)
	require.NoError(t, err)
	again, err := k.Sign(statement)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(again), "a second signature is the same")
	opened, err := k.Public().Open(text)
	require.NoError(t, err)
	s, err := provenance.Read(opened)
	require.NoError(t, err)
	assert.Equal(t, PredicateType, s.PredicateType)
	assert.True(t, s.Names(digest))

	// Another key and an altered statement are told apart.
	_, err = read(t, newPrivate(t)).Public().Open(text)
	assert.ErrorIs(t, err, ErrOtherKey)
	other, err := Statement("sha256:" + strings.Repeat("b", 64))
	require.NoError(t, err)
	altered := bytes.Replace(text, []byte(base64.StdEncoding.EncodeToString(statement)), []byte(base64.StdEncoding.EncodeToString(other)), 1)
	require.NotEqual(t, text, altered)
	_, err = k.Public().Open(altered)
	assert.ErrorIs(t, err, ErrAltered)
	for _, wrong := range []string{"", "{}", `{"dsseEnvelope":{}}`, `{"messageSignature":{}}`} {
		_, err := k.Public().Open([]byte(wrong))
		assert.ErrorContains(t, err, "bundle")
	}
}

func FuzzOpen(f *testing.F) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	k := &Key{private: private}
	text, err := k.Sign([]byte("{}"))
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = k.Public().Open(text) }) // it must only not panic
}

func TestReadKey(t *testing.T) {
	private := newPrivate(t)
	sealed, err := encrypted.Encrypt(pkcs8(t, private), []byte("open"))
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rivest, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for _, c := range []struct {
		text       []byte
		passphrase string
		code       int
		want       string
	}{
		{inPEM("PRIVATE KEY", pkcs8(t, private)), "", 0, ""},
		{inPEM("EC PRIVATE KEY", sec1), "", 0, ""},
		{inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", sealed), "open", 0, ""},
		{inPEM("ENCRYPTED COSIGN PRIVATE KEY", sealed), "open", 0, ""},
		{inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", sealed), "shut", fault.Auth, "key k does not open with this passphrase"}, // case 62
		{inPEM("ENCRYPTED PRIVATE KEY", sealed), "", fault.Usage, "is encrypted in PKCS #8"},
		{[]byte("no key"), "", fault.Usage, "key k is not a private key in PEM"},
		{inPEM("PUBLIC KEY", public), "", fault.Usage, "key k is a PUBLIC KEY, not a private key"},
		{inPEM("PRIVATE KEY", []byte("x")), "", fault.Usage, "key k: "},
		{inPEM("EC PRIVATE KEY", []byte("x")), "", fault.Usage, "key k: "},
		{inPEM("PRIVATE KEY", pkcs8(t, edwards)), "", fault.Usage, "key k is Ed25519"},
		{inPEM("PRIVATE KEY", pkcs8(t, rivest)), "", fault.Usage, "key k is RSA"},
		{inPEM("PRIVATE KEY", pkcs8(t, large)), "", fault.Usage, "key k is ECDSA P-384"},
	} {
		k, err := ReadKey("k", c.text, func() ([]byte, error) { return []byte(c.passphrase), nil })
		if c.want != "" {
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, c.code, fault.Code(err))
			assert.NotContains(t, err.Error(), "shut", "a passphrase is never shown")
			continue
		}
		require.NoError(t, err)
		read, err := ReadPublicKey("k", inPEM("PUBLIC KEY", public))
		require.NoError(t, err)
		assert.Equal(t, read.Hint(), k.Public().Hint())
	}
	for want, text := range map[string][]byte{
		"key k is not a public key in PEM": inPEM("PRIVATE KEY", pkcs8(t, private)),
		"key k: ":                          inPEM("PUBLIC KEY", []byte("x")),
	} {
		_, err := ReadPublicKey("k", text)
		assert.ErrorContains(t, err, want)
		assert.Equal(t, fault.Usage, fault.Code(err))
	}
}
