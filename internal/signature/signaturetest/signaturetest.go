// Package signaturetest makes keys for tests.
package signaturetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/signature"
)

// Pair returns a new key and its public half in PEM, as openssl writes them.
func Pair(t testing.TB) (private, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err = x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err = x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
}

// Key returns a new key, and its public half in PEM.
func Key(t testing.TB) (*signature.Key, []byte) {
	t.Helper()
	private, public := Pair(t)
	key, err := signature.ReadKey("k", private, nil)
	require.NoError(t, err)
	return key, public
}
