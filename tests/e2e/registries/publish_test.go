package registries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	orasremote "oras.land/oras-go/v2/registry/remote"
)

// Each registry accepts the image and the chart, and each client reads what was built.
func TestEveryRegistryWithEveryReader(t *testing.T) {
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dist := dist(t)
			built := resultOf(t, dist)
			f := startFront(t, start(t))
			prefix := f.host + "/team/x"
			image, chart, _ := publish(t, prefix, dist)
			assert.Equal(t, prefix+"/jobmesh-wrap@"+built.Image.Digest, image)
			assert.True(t, strings.HasPrefix(chart, prefix+"/jobmesh@sha256:"), chart)

			t.Run("published again", func(t *testing.T) {
				f.forget()
				again, _, stderr := publish(t, prefix, dist)
				assert.Equal(t, image, again)
				assert.True(t, strings.HasPrefix(stderr, "already published: nothing to do\n"), stderr)
				assert.Zero(t, f.sent("PUT", "POST", "PATCH", "DELETE"), "nothing is sent")
			})
			t.Run("every digest of the list", func(t *testing.T) { everyDigest(t, prefix, built) })
			t.Run("go-containerregistry", func(t *testing.T) {
				ref, err := name.ParseReference(prefix + "/jobmesh-wrap:" + built.Version)
				require.NoError(t, err)
				index, err := remote.Index(ref)
				require.NoError(t, err)
				require.NoError(t, validate.Index(index))
				digest, err := index.Digest()
				require.NoError(t, err)
				assert.Equal(t, built.Image.Digest, digest.String())
			})
			t.Run("oras", func(t *testing.T) { readWithOras(t, prefix, built) })
			t.Run("skopeo", func(t *testing.T) { readWithSkopeo(t, prefix, built) })
			for _, helm := range []string{"helm3", "helm4"} {
				t.Run(helm, func(t *testing.T) { readWithHelm(t, helm, prefix, built) })
			}
		})
	}
}

func everyDigest(t *testing.T, prefix string, built result) {
	repo, err := name.NewRepository(prefix + "/jobmesh-wrap")
	require.NoError(t, err)
	manifests := []content{built.Image.content}
	for _, p := range built.Image.Platforms {
		manifests = append(manifests, p.content)
		for _, blob := range []content{p.Config, p.Layer} {
			layer, err := remote.Layer(repo.Digest(blob.Digest))
			require.NoError(t, err)
			size, err := layer.Size()
			require.NoError(t, err)
			assert.Equal(t, blob.Size, size)
		}
	}
	for _, m := range manifests {
		d, err := remote.Get(repo.Digest(m.Digest))
		require.NoError(t, err)
		assert.Equal(t, m.Size, d.Size)
	}
}

func readWithOras(t *testing.T, prefix string, built result) {
	repo, err := orasremote.NewRepository(prefix + "/jobmesh-wrap")
	require.NoError(t, err)
	repo.PlainHTTP = true
	dir := t.TempDir()
	copied, err := oci.New(dir)
	require.NoError(t, err)
	root, err := oras.Copy(context.Background(), repo, built.Version, copied, "", oras.DefaultCopyOptions)
	require.NoError(t, err)
	assert.Equal(t, built.Image.Digest, root.Digest.String())
	isWhole(t, dir, built)
}

// isWhole checks that a layout has the blobs of all platforms. The programs that write a layout check each blob by its
// digest.
func isWhole(t *testing.T, layout string, built result) {
	t.Helper()
	for _, p := range built.Image.Platforms {
		for _, c := range []content{p.content, p.Config, p.Layer} {
			stat, err := os.Stat(filepath.Join(layout, "blobs/sha256", strings.TrimPrefix(c.Digest, "sha256:")))
			require.NoError(t, err, p.Platform)
			assert.Equal(t, c.Size, stat.Size(), p.Platform)
		}
	}
}

func readWithSkopeo(t *testing.T, prefix string, built result) {
	from := "docker://" + prefix + "/jobmesh-wrap:" + built.Version
	raw, _ := run(t, "", "skopeo", "inspect", "--raw", "--tls-verify=false", from)
	sum := sha256.Sum256([]byte(raw))
	assert.Equal(t, built.Image.Digest, "sha256:"+hex.EncodeToString(sum[:]))
	for _, p := range built.Image.Platforms {
		parts := strings.Split(p.Platform, "/")
		arguments := []string{"inspect", "--config", "--tls-verify=false", "--override-os", parts[0], "--override-arch", parts[1], from}
		if len(parts) == 3 {
			arguments = append([]string{"--override-variant", parts[2]}, arguments...)
		}
		config, _ := run(t, "", "skopeo", arguments...)
		var c v1.ConfigFile
		require.NoError(t, json.Unmarshal([]byte(config), &c))
		assert.Equal(t, p.Platform, c.Platform().String())
	}
	dir := t.TempDir()
	run(t, "", "skopeo", "--insecure-policy", "copy", "--all", "--src-tls-verify=false", from, "oci:"+dir+":copy")
	isWhole(t, dir, built)
}

// readWithHelm renders a chart that depends on the published one. The result must have the published image; a mirror
// changes only its registry.
func readWithHelm(t *testing.T, helm, prefix string, built result) {
	program := fromEnv(t, "JOBMESH_"+strings.ToUpper(helm), "bin", helm)
	dir := t.TempDir()
	run(t, dir, program, "pull", "oci://"+prefix+"/jobmesh", "--version", built.Version, "--plain-http")
	consumer := filepath.Join(dir, "consumer")
	require.NoError(t, os.MkdirAll(filepath.Join(consumer, "templates"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(consumer, "charts"), 0o755))
	require.NoError(t, os.Rename(filepath.Join(dir, "jobmesh-"+built.Version+".tgz"), filepath.Join(consumer, "charts/jobmesh.tgz")))
	for file, text := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: consumer\nversion: 1.0.0\ndependencies:\n  - name: jobmesh\n    version: " + built.Version +
			"\n    repository: oci://" + prefix + "\n",
		"templates/job.yaml": `apiVersion: batch/v1
kind: Job
metadata:
  name: x
spec:
  template:
    spec: {{- include "jobmesh.podSpec" (list . "consumer.podSpec") | nindent 6 }}
{{- define "consumer.podSpec" }}
restartPolicy: Never
containers:
  - name: main
    image: busybox
    command: ["true"]
{{- end }}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(consumer, file), []byte(text), 0o600))
	}
	run(t, "", program, "lint", "--strict", consumer)
	repository := strings.TrimPrefix(prefix, strings.Split(prefix, "/")[0]) + "/jobmesh-wrap"
	rendered, _ := run(t, "", program, "template", "x", consumer)
	assert.Contains(t, rendered, "image: "+prefix+"/jobmesh-wrap@"+built.Image.Digest+"\n")
	rendered, _ = run(t, "", program, "template", "x", consumer, "--set", "jobmesh.image.registry=mirror.example")
	assert.Contains(t, rendered, "image: mirror.example"+repository+"@"+built.Image.Digest+"\n")
}

// Debian's registry is behind a proxy that breaks the first requests of each kind in several ways.
func TestEveryKindOfRequestBreaks(t *testing.T) {
	for kind, breaks := range map[string]func(w http.ResponseWriter, r *http.Request){
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"429": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"reset": func(w http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1024))
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
			}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dist := dist(t)
			f := startFront(t, dockerRegistry(t))
			var mu sync.Mutex
			seen := map[string]int{}
			f.wrong = func(w http.ResponseWriter, r *http.Request) bool {
				place, _, _ := strings.Cut(r.URL.Path, "/sha256:")
				place, _, _ = strings.Cut(place, "/uploads/")
				mu.Lock()
				seen[r.Method+place]++
				broken := seen[r.Method+place] < 3
				mu.Unlock()
				if broken {
					breaks(w, r)
				}
				return broken
			}
			image, _, _ := publish(t, f.host+"/team/x", dist)
			ref, err := name.ParseReference(image)
			require.NoError(t, err)
			index, err := remote.Index(ref)
			require.NoError(t, err)
			require.NoError(t, validate.Index(index))
		})
	}
}
