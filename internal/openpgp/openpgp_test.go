package openpgp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/signature"
)

func newKey(t *testing.T) *signature.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key, err := signature.ReadKey("k", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	require.NoError(t, err)
	return key
}

func TestSigned(t *testing.T) {
	at := time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)
	text := []byte("name: jobmesh\n\n...\nfiles:\n  a.tgz: sha256:0\n")
	source := newKey(t)
	key, err := Of(source)
	require.NoError(t, err)
	signed, err := key.ClearSign(text, at)
	require.NoError(t, err)
	written, err := key.Keyring()
	require.NoError(t, err)

	again, err := Of(source)
	require.NoError(t, err)
	same, err := again.ClearSign(text, at)
	require.NoError(t, err)
	require.Equal(t, string(signed), string(same), "the same key, text and time give the same signature")
	sameRing, err := again.Keyring()
	require.NoError(t, err)
	require.Equal(t, written, sameRing)

	check := func(ring, signed []byte) error {
		keys, err := openpgp.ReadKeyRing(bytes.NewReader(ring))
		require.NoError(t, err)
		block, _ := clearsign.Decode(signed)
		require.NotNil(t, block)
		_, err = openpgp.CheckDetachedSignature(keys, bytes.NewReader(block.Bytes), block.ArmoredSignature.Body, nil)
		return err
	}
	require.NoError(t, check(written, signed))
	require.Error(t, check(written, bytes.Replace(signed, []byte("sha256:0"), []byte("sha256:1"), 1)))

	other, err := Of(newKey(t))
	require.NoError(t, err)
	others, err := other.Keyring()
	require.NoError(t, err)
	require.Error(t, check(others, signed))
}
