// Package signatures checks what jobmesh signs with sigstore's own verifiers: the library, and the cosign program, both
// without a transparency log.
package signatures

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	bundleType     = "application/vnd.dev.sigstore.bundle.v0.3+json"
	passphrase     = "not a secret"
	signPredicate  = "https://sigstore.dev/cosign/sign/v1"
	buildPredicate = "https://slsa.dev/provenance/v1"
)

// run runs a program in a folder. Its environment has the passphrase.
func run(t *testing.T, dir, program string, arguments ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+passphrase)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	t.Logf("%s %s: %v\n%s", filepath.Base(program), strings.Join(arguments, " "), err, said.String())
	return out.String(), err
}

// repository is the root of this repository.
const repository = "../../.."

// cosign runs the pinned cosign, which ci/tools/build has put into bin/.
func cosign(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	return run(t, repository, "bin/cosign", arguments...)
}

// jobmesh signs the index, the platforms and the charts with a key that cosign has made. Both verifiers accept the
// signatures, in registries with and without the referrers API.
func TestSignatures(t *testing.T) {
	work := t.TempDir()
	program := filepath.Join(work, "jobmesh")
	_, err := run(t, repository, "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/jobmesh")
	require.NoError(t, err)
	keys := filepath.Join(work, "keys")
	_, err = cosign(t, "generate-key-pair", "--output-key-prefix", keys)
	require.NoError(t, err)
	other := filepath.Join(work, "other")
	_, err = cosign(t, "generate-key-pair", "--output-key-prefix", other)
	require.NoError(t, err)
	dist := filepath.Join(work, "dist")
	_, err = run(t, repository, program, "build", "--platform", "linux/amd64", "--platform", "linux/arm64", "--output", dist, "--sign-key", keys+".key")
	require.NoError(t, err)

	for _, api := range []bool{true, false} {
		t.Run(map[bool]string{true: "referrers API", false: "list under a tag"}[api], func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(api)))
			defer server.Close()
			prefix := strings.TrimPrefix(server.URL, "http://") + "/team"
			published, err := run(t, ".", program, "publish", prefix, "--from", dist, "--sign-key", keys+".key")
			require.NoError(t, err)
			references := strings.Fields(published)
			charts, err := filepath.Glob(filepath.Join(dist, "charts", "*.tgz"))
			require.NoError(t, err)
			require.Len(t, references, 1+len(charts), "the image and all charts")
			for _, platform := range platforms(t, dist) {
				references = append(references, prefix+"/jobmesh-wrap@"+platform)
			}
			for _, reference := range references {
				verifyWithLibrary(t, reference, keys+".pub")
				_, err := cosign(t, "verify", "--key", keys+".pub", "--insecure-ignore-tlog", reference)
				assert.NoError(t, err)
				_, err = cosign(t, "verify-attestation", "--type", "slsaprovenance1", "--key", keys+".pub", "--insecure-ignore-tlog", reference)
				assert.NoError(t, err)
				_, err = cosign(t, "verify", "--key", other+".pub", "--insecure-ignore-tlog", reference)
				assert.Error(t, err, "another key")
			}

			// jobmesh verifies what cosign signs.
			plain := prefix + "/by-cosign"
			_, err = run(t, ".", program, "publish", plain, "--from", dist, "--referrers", "none")
			require.NoError(t, err)
			version, err := os.ReadFile(filepath.Join(repository, "VERSION"))
			require.NoError(t, err)
			chart := plain + "/jobmesh:" + strings.TrimSpace(string(version))
			_, err = cosign(t, "sign", "--key", keys+".key", "--tlog-upload=false", "--use-signing-config=false", "--yes", chart)
			require.NoError(t, err)
			said, err := run(t, ".", program, "verify", chart, "--key", keys+".pub")
			assert.Error(t, err, "cosign signed no provenance")
			assert.Contains(t, said, "chart: signature: ok\n")
		})
	}
}

func platforms(t *testing.T, dist string) (digests []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dist, "result.json"))
	require.NoError(t, err)
	var result struct {
		Image struct {
			Platforms []struct{ Digest string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &result))
	for _, p := range result.Image.Platforms {
		digests = append(digests, p.Digest)
	}
	require.Len(t, digests, 2)
	return digests
}

// verifyWithLibrary verifies every bundle that refers to an artifact with the library that policy controllers use.
func verifyWithLibrary(t *testing.T, reference, publicKey string) {
	t.Helper()
	subject, err := name.NewDigest(reference)
	require.NoError(t, err)
	index, err := remote.Referrers(subject)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	var predicates []string
	for _, d := range manifest.Manifests {
		img, err := remote.Image(subject.Context().Digest(d.Digest.String()))
		require.NoError(t, err)
		layers, err := img.Layers()
		require.NoError(t, err)
		kind, err := layers[0].MediaType()
		require.NoError(t, err)
		if kind != bundleType { // other documents are skipped
			continue
		}
		content, err := layers[0].Compressed()
		require.NoError(t, err)
		text, err := io.ReadAll(content)
		require.NoError(t, err)
		var b bundle.Bundle
		require.NoError(t, b.UnmarshalJSON(text))
		verifier, err := verify.NewVerifier(trusted(t, publicKey), verify.WithNoObserverTimestamps())
		require.NoError(t, err)
		digest, err := hex.DecodeString(strings.TrimPrefix(subject.DigestStr(), "sha256:"))
		require.NoError(t, err)
		result, err := verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), verify.WithKey()))
		require.NoError(t, err)
		predicates = append(predicates, result.Statement.PredicateType)
	}
	assert.ElementsMatch(t, []string{signPredicate, buildPredicate}, predicates)
}

// trusted returns a root of trust that has only one key.
func trusted(t *testing.T, publicKey string) root.TrustedMaterial {
	t.Helper()
	text, err := os.ReadFile(publicKey)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	require.NoError(t, err)
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
}
