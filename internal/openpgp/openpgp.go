// Package openpgp makes the signatures that Helm verifies, with the key that signs everything
// else. Helm only supports OpenPGP: its keyrings and clear-signed files
// (https://helm.sh/docs/topics/provenance/). OpenPGP has keys of the type ECDSA P-256 too, so
// no second key is needed.
package openpgp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/jobmesh/jobmesh/internal/signature"
)

// born is the creation time of every key: the fingerprint of an OpenPGP key depends on it, and
// a key has to keep its fingerprint.
var born = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// user is the name that Helm shows as the signer, beside the fingerprint.
const user = "jobmesh release key"

// A Key is a signing key in the form of OpenPGP.
type Key struct{ entity *openpgp.Entity }

// Of returns a key in the form of OpenPGP.
func Of(key *signature.Key) (Key, error) {
	signer := key.Signer()
	public, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return Key{}, fmt.Errorf("the key is %T, not ECDSA", signer.Public())
	}
	primary, err := publicKey(public)
	if err != nil {
		return Key{}, err
	}
	private := &packet.PrivateKey{PublicKey: *primary, PrivateKey: signer}
	entity := &openpgp.Entity{PrimaryKey: &private.PublicKey, PrivateKey: private, Identities: map[string]*openpgp.Identity{}}
	return Key{entity}, entity.AddUserId(user, "", "", settings(born))
}

// p256 identifies the curve P-256 (RFC 6637, section 11), with its length in front.
var p256 = []byte{8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}

// publicKey parses the key from an OpenPGP packet (RFC 4880, section 5.5.2), which this
// function writes: the library does not accept a key of Go's own type.
func publicKey(key *ecdsa.PublicKey) (*packet.PublicKey, error) {
	const version, ecdsaKey, pointBits = 4, 19, 515 // a byte 4, which has 3 bits, and two numbers of 256 bits
	point, err := key.ECDH()
	if err != nil {
		return nil, err
	}
	body := binary.BigEndian.AppendUint32([]byte{version}, uint32(born.Unix()))
	body = append(append(body, ecdsaKey), p256...)
	body = append(binary.BigEndian.AppendUint16(body, pointBits), point.Bytes()...)
	const publicKeyPacket = 0xc0 | 6
	read, err := packet.Read(bytes.NewReader(append([]byte{publicKeyPacket, byte(len(body))}, body...)))
	if err != nil {
		return nil, err
	}
	return read.(*packet.PublicKey), nil
}

// settings are the settings of a signature at a given time. They contain nothing random, so the
// same text and time give the same bytes.
func settings(at time.Time) *packet.Config {
	random := false
	return &packet.Config{
		DefaultHash: crypto.SHA256, Time: func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &random,
	}
}

// Keyring returns the public key in the form that helm plugin install --keyring reads.
func (k Key) Keyring() ([]byte, error) {
	var ring bytes.Buffer
	err := k.entity.Serialize(&ring)
	return ring.Bytes(), err
}

// ClearSign returns a text with its signature.
func (k Key) ClearSign(text []byte, at time.Time) ([]byte, error) {
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, k.entity.PrivateKey, settings(at))
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return append(signed.Bytes(), '\n'), nil
}
