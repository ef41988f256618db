package openpgp

import (
	"bytes"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/signature/signaturetest"
)

func TestSigned(t *testing.T) {
	at := time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)
	text := []byte("name: jobmesh\n\n...\nfiles:\n  a.tgz: sha256:0\n")
	source, _ := signaturetest.Key(t)
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

	stranger, _ := signaturetest.Key(t)
	other, err := Of(stranger)
	require.NoError(t, err)
	others, err := other.Keyring()
	require.NoError(t, err)
	require.Error(t, check(others, signed))
}
