package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/signature/signaturetest"
)

func TestCheckKey(t *testing.T) {
	key, public := signaturetest.Key(t)
	_, other := signaturetest.Key(t)
	require.NoError(t, checkKey(key, public))
	require.ErrorContains(t, checkKey(key, other), "the key of SIGN_KEY is not that of release.pub")
	require.ErrorContains(t, checkKey(key, []byte("text")), "release.pub is not a public key")
}

func TestDownloads(t *testing.T) {
	require.Equal(t, "https://github.com/jobmesh/jobmesh/releases/download/v1.2.3", downloads("", "1.2.3"))
	require.Equal(t, "https://downloads.example.com/jobmesh", downloads("https://downloads.example.com/jobmesh/", "1.2.3"))
}

func TestCheckImage(t *testing.T) {
	for name, c := range map[string]struct{ image, version, noted, want string }{
		"a version that is not raised yet": {"jobmesh-wrap", "1.2.3", "", ""},
		"the image of the release":         {"jobmesh-wrap", "1.2.3", "sha256:a", ""},
		"another image":                    {"jobmesh-wrap", "1.2.3", "sha256:b", "image in dist/ is sha256:a, image.digest says sha256:b"},
		"another version":                  {"jobmesh-wrap", "1.2.2", "", "dist/ has version 1.2.2, VERSION says 1.2.3"},
		"not the wrapper":                  {"jobmesh-cli", "1.2.3", "", "dist/ has the image jobmesh-cli, not jobmesh-wrap"},
	} {
		err := checkImage(c.image, c.version, "sha256:a", "1.2.3", c.noted)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestSetsGo(t *testing.T) {
	for entry, want := range map[string]bool{
		"GOFLAGS=-race": true, "GOAMD64=v3": true, "CGO_ENABLED=1": true, "GOEXPERIMENT=x": true,
		"GOCACHE=/c": false, "GOPROXY=off": false, "HOME=/h": false, "JOBMESH_VERSION=1": false,
	} {
		require.Equal(t, want, setsGo(entry), entry)
	}
}

func TestChecksums(t *testing.T) {
	a, b := digestOf([]byte("a")), digestOf([]byte("b"))
	require.Equal(t, b[7:]+"  a.zip\n"+a[7:]+"  b.tar.gz\n", string(checksums(map[string]string{"b.tar.gz": a, "a.zip": b})))
}
