package docs

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/helm"
)

// categories are those of Artifact Hub.
var categories = []string{
	"ai-machine-learning", "database", "integration-delivery", "monitoring-logging", "networking", "security", "storage", "streaming-messaging",
}

// ofRepository matches a link to a file of this repository.
var ofRepository = regexp.MustCompile(`^https://(?:raw\.githubusercontent\.com/jobmesh/jobmesh/main|github\.com/jobmesh/jobmesh/blob/main)/(.+)$`)

// requireLink holds a link that is to be shown: a file of ours has to be there.
func requireLink(t *testing.T, url string) {
	t.Helper()
	require.Regexp(t, `^https://`, url)
	if m := ofRepository.FindStringSubmatch(url); m != nil {
		require.FileExists(t, filepath.Join(sources, m[1]), url)
	}
}

// TestPublishedCharts: Artifact Hub can show every chart that is published, and helm
// lint has nothing to say.
func TestPublishedCharts(t *testing.T) {
	archives, err := filepath.Glob(filepath.Join(dist, "charts", "*.tgz"))
	require.NoError(t, err)
	require.NotEmpty(t, archives)
	image := imageReference(t)
	for _, archive := range archives {
		c, err := helm.LoadArchive([]byte(read(archive)))
		require.NoError(t, err)
		t.Run(c.Name(), func(t *testing.T) {
			requireMetadata(t, c.Metadata, image)
			for _, program := range []string{"helm3", "helm4"} {
				output, err := exec.Command(tool(t, program), "lint", "--strict", archive).CombinedOutput()
				require.NoError(t, err, string(output))
				assert.NotContains(t, string(output), "[", "%s has a hint", program)
			}
		})
	}
}

func requireMetadata(t *testing.T, m *helm.Metadata, image string) {
	t.Helper()
	requireLink(t, m.Icon)
	require.NotEmpty(t, m.KubeVersion)
	require.NotEmpty(t, m.Maintainers)
	require.NotEmpty(t, m.Keywords)
	require.Equal(t, "Apache-2.0", m.Annotations["artifacthub.io/license"])
	require.Contains(t, categories, m.Annotations["artifacthub.io/category"])

	var images []struct{ Name, Image string }
	require.NoError(t, yaml.UnmarshalStrict([]byte(m.Annotations["artifacthub.io/images"]), &images))
	if m.Name == "jobmesh-alerts" {
		require.Empty(t, images) // nothing of it runs
	} else {
		require.Len(t, images, 1)
		require.Equal(t, image, images[0].Image)
	}
	var links []struct{ Name, URL string }
	require.NoError(t, yaml.UnmarshalStrict([]byte(m.Annotations["artifacthub.io/links"]), &links))
	require.NotEmpty(t, links)
	for _, l := range links {
		require.NotEmpty(t, l.Name)
		requireLink(t, l.URL)
	}
}

// imageReference is the image of dist, as charts name it.
func imageReference(t *testing.T) string {
	t.Helper()
	var result struct {
		Image struct{ Reference, Digest string }
	}
	require.NoError(t, json.Unmarshal([]byte(read(dist, "result.json")), &result))
	name := result.Image.Reference[:strings.LastIndex(result.Image.Reference, ":")]
	return name + "@" + result.Image.Digest
}

// TestImageLabels: Artifact Hub lists the image by the annotations of its index.
func TestImageLabels(t *testing.T) {
	index, err := layout.ImageIndexFromPath(filepath.Join(dist, "oci"))
	require.NoError(t, err)
	list, err := index.IndexManifest()
	require.NoError(t, err)
	i := slices.IndexFunc(list.Manifests, func(d v1.Descriptor) bool { return d.MediaType.IsIndex() })
	require.GreaterOrEqual(t, i, 0)
	image, err := index.ImageIndex(list.Manifests[i].Digest)
	require.NoError(t, err)
	manifest, err := image.IndexManifest()
	require.NoError(t, err)
	// The first three are those that it asks for.
	for _, key := range []string{"io.artifacthub.package.readme-url", "org.opencontainers.image.created", "org.opencontainers.image.description",
		"org.opencontainers.image.version", "org.opencontainers.image.title", "io.artifacthub.package.license"} {
		require.NotEmpty(t, manifest.Annotations[key], key)
	}
	require.Contains(t, categories, manifest.Annotations["io.artifacthub.package.category"])
	for _, key := range []string{"io.artifacthub.package.readme-url", "io.artifacthub.package.logo-url", "org.opencontainers.image.documentation"} {
		requireLink(t, manifest.Annotations[key])
	}
}

// TestHubRepository: what Artifact Hub is to ignore is something that we publish.
func TestHubRepository(t *testing.T) {
	var hub struct {
		RepositoryID string `json:"repositoryID"`
		Owners       []struct{ Name, Email string }
		Ignore       []struct{ Name, Version string }
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(sources, "artifacthub-repo.yml")), &hub))
	require.NotEmpty(t, hub.Ignore)
	for _, ignored := range hub.Ignore {
		archives, err := filepath.Glob(filepath.Join(dist, "charts", ignored.Name+"-[0-9]*.tgz"))
		require.NoError(t, err)
		require.Len(t, archives, 1, ignored.Name)
		require.Regexp(t, regexp.MustCompile(`^(?:`+ignored.Version+`)$`), "1.0.0-rc.1")
		require.NotRegexp(t, regexp.MustCompile(`^(?:`+ignored.Version+`)$`), "1.0.0")
	}
}
