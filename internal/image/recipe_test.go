package image

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// keys returns the names that a struct's fields have in a file.
func keys(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// The schema and the Go type have the same keys, so that neither accepts a key that the other
// one does not know.
func TestSchemaIsWhatIsRead(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(Schema, &schema))
	names := func(m any) (all []string) {
		for _, k := range reflect.ValueOf(m).MapKeys() {
			all = append(all, k.String())
		}
		return all
	}
	assert.ElementsMatch(t, keys(reflect.TypeFor[Recipe]()), names(schema.Properties))
	assert.ElementsMatch(t, keys(reflect.TypeFor[Download]()), names(schema.Properties["download"].Properties))
}

// The schema accepts every platform that can be built.
func TestSchemaTakesEveryPlatform(t *testing.T) {
	values, err := json.Marshal(map[string]any{
		"package": "./cmd/x", "path": "/x", "entrypoint": []string{"/x"}, "user": "1:1", "created": "2026-01-02T03:04:05Z",
		"labels": map[string]string{}, "platforms": PlatformNames(),
	})
	require.NoError(t, err)
	assert.NoError(t, checkSchema(values))
}

const recipe = `
package: ./cmd/x
path: /x
entrypoint: [/x]
user: "65532:65532"
platforms: [linux/amd64, linux/arm64]
created: "2026-01-02T03:04:05Z"
labels: {a: b}
download:
  name: tool
  path: /tool
  tag: release/v1
  version: v1
  url: https://example.com/{tag}/tool-{version}-{os}-{arch}
  hosts: [example.com]
  license: MIT
  source: https://example.com/tool
`

func TestRecipe(t *testing.T) {
	load := func(text string) (Recipe, error) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "images", "x"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "images", "x", "image.yaml"), []byte(text), 0o600))
		return LoadRecipe(dir, "x", "1.2.3", "")
	}
	r, err := load(recipe)
	require.NoError(t, err)
	assert.Equal(t, "/tool", r.Download.Path)
	labels := r.annotations()
	assert.Equal(t, "v1", labels["io.jobmesh.upstream.version"])
	assert.Equal(t, "MIT", labels["io.jobmesh.upstream.license"])

	for name, c := range map[string]struct{ from, to, want string }{
		"an unknown key":       {"labels:", "label:", `additional properties 'label' not allowed`},
		"a key that is absent": {"user: \"65532:65532\"\n", "", "missing property 'user'"},
		"two mistakes":         {"path: /x\nentrypoint: [/x]", "path: x\nentrypoint: []", "path: 'x' does not match pattern"},
		"root":                 {"65532:65532", "0:0", "user: '0:0' does not match pattern"},
		"a number":             {"path: /x", "path: 5", "path: got number, want string"},
		"a key twice":          {"path: /x", "path: /x\npath: /y", "already set"},
		"no YAML":              {"path: /x", "path: [", "yaml: "},
		"a bad platform":       {"linux/amd64,", "windows/amd64,", "platforms.0: 'windows/amd64' does not match pattern"},
		"a platform twice":     {"linux/amd64,", "linux/arm64,", "items at 0 and 1 are equal"},
		"an unknown word":      {"{os}", "{osname}", "download.url has {osname}, and there are {tag}, {version}, {os} and {arch} only"},
		"plain HTTP":           {"https://example.com/{tag}", "http://example.com/{tag}", "download.url: http://example.com is not HTTPS"},
		"a host not listed":    {"hosts: [example.com]", "hosts: [example.org]", "download.url: host example.com is not among hosts (example.org)"},
		"credentials":          {"https://example.com/{tag}", "https://u:hunter2@example.com/{tag}", "has credentials in it"},
		"another platform":     {"license: MIT", "license: MIT\n  allowMissing: [linux/s390x]", "download.allowMissing: linux/s390x is not among platforms"},
		"the same path":        {"path: /tool", "path: /x", "download.path: /x is where the program stands"},
		"a path out of it":     {"path: /tool", "path: /../tool", "does not match pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, recipe, c.from)
			_, err := load(strings.Replace(recipe, c.from, c.to, 1))
			require.ErrorContains(t, err, "images/x/image.yaml: ")
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, fault.Usage, fault.Code(err))
			for line := range strings.Lines(err.Error()) {
				assert.True(t, strings.HasPrefix(line, "images/x/image.yaml: "), line)
			}
		})
	}
}

// A slash in a tag is a part of one segment of the URL.
func TestDownloadURL(t *testing.T) {
	d := Download{
		Tag: "release/v0.3.3", Version: "v1+2 3", Template: "https://example.com/{tag}/x-{version}-{os}-{arch}",
		Hosts: []string{"example.com"}, Arch: map[string]string{"linux/arm/v7": "armhf"},
	}
	for platform, want := range map[string]string{
		"linux/amd64":  "https://example.com/release%2Fv0.3.3/x-v1+2%203-linux-amd64",
		"linux/arm/v7": "https://example.com/release%2Fv0.3.3/x-v1+2%203-linux-armhf",
	} {
		got, err := d.URL(platform)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		u, err := url.Parse(got)
		require.NoError(t, err)
		assert.Contains(t, u.EscapedPath(), "release%2Fv0.3.3", "and is asked for that way")
	}
}

func TestDownloadAllows(t *testing.T) {
	d := Download{Hosts: []string{"example.com", "127.0.0.1", "localhost:8080"}}
	for from, allowed := range map[string]bool{
		"https://example.com/a": true, "https://example.com:443/a": true, "https://example.com:8443/a": false, "http://example.com/a": false, "https://a.example.com/": false,
		"http://127.0.0.1:5/a": true, "http://localhost:8080/": true, "http://localhost:8081/": false, "https://user@example.com/": false,
		"ftp://example.com/": false, "https://example.com.evil/": false, "//example.com/": false,
	} {
		u, err := url.Parse(from)
		require.NoError(t, err)
		assert.Equal(t, allowed, d.Allows(u) == nil, from)
	}
}

// The recipes of this repository are valid.
func TestOwnRecipes(t *testing.T) {
	for _, name := range RecipeNames("../..") {
		r, err := LoadRecipe("../..", name, "1.2.3", "")
		require.NoError(t, err)
		_, err = SelectPlatforms(r.Platforms)
		assert.NoError(t, err)
	}
	await, err := LoadRecipe("../..", "linkerd-await", "1.2.3", "")
	require.NoError(t, err)
	got, err := await.Download.URL("linux/arm64")
	require.NoError(t, err)
	assert.Equal(t, "https://github.com/linkerd/linkerd-await/releases/download/release%2Fv0.3.3/linkerd-await-v0.3.3-arm64", got)
}
