package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample returns an index of two platforms, with a Go program that has a dependency, and with a
// downloaded file.
func sample(t *testing.T) Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./testdata/program").CombinedOutput()
	require.NoError(t, err, string(out))
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	base := Image{
		Name: "sample", Version: "1.2.3+4", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		License: "Apache-2.0", Source: "https://example.com/sample", Supplier: "Example",
	}
	index := base
	index.Digest = "sha256:" + strings.Repeat("a", 64)
	first := base
	first.Platform, first.Digest = "linux/amd64", "sha256:"+strings.Repeat("b", 64)
	first.Files = []File{{Path: "/sample", Content: ContentOf(content)}}
	third := base
	third.Platform, third.Digest = "linux/arm/v7", "sha256:"+strings.Repeat("c", 64)
	third.Files = []File{{Path: "/other", Content: ContentOf([]byte("not made by Go")), Origin: &Origin{
		URL: "https://example.com/other%2F1.0/other-arm", Version: "v1.0", License: "MIT",
	}}}
	index.Children = []Image{first, third}
	return index
}

// schemas returns the official schemas: that of SPDX from its repository at v2.3, and that of
// CycloneDX from the module that writes it.
func schemas(t *testing.T) (spdx, cyclone *jsonschema.Schema) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	require.NoError(t, err)
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	for id, file := range map[string]string{
		"http://spdx.org/rdf/terms/2.3":                    "testdata/spdx-2.3.schema.json",
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  filepath.Join(dir, "bom-1.6.schema.json"),
		"http://cyclonedx.org/schema/spdx.schema.json":     filepath.Join(dir, "spdx.schema.json"),
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, c.AddResource(id, value))
	}
	spdx, err = c.Compile("http://spdx.org/rdf/terms/2.3")
	require.NoError(t, err)
	cyclone, err = c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	require.NoError(t, err)
	return spdx, cyclone
}

func requireValid(t *testing.T, schema *jsonschema.Schema, text []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(value))
}

// The bills of the index and of each child pass their schema, are the
// same bytes each time, and name version, modules and Go release.
func TestBills(t *testing.T) {
	spdxSchema, cycloneSchema := schemas(t)
	index := sample(t)
	for _, x := range append([]Image{index}, index.Children...) {
		spdx, err := WriteSPDX(x)
		require.NoError(t, err)
		cyclone, err := WriteCycloneDX(x)
		require.NoError(t, err)
		for _, bill := range []struct {
			text   []byte
			schema *jsonschema.Schema
		}{{spdx, spdxSchema}, {cyclone, cycloneSchema}} {
			requireValid(t, bill.schema, bill.text)
			text := string(bill.text)
			assert.Contains(t, text, strings.TrimPrefix(x.Digest, "sha256:"))
			assert.Contains(t, text, "2026-01-02T03:04:05Z")
			if x.Platform == "linux/arm/v7" {
				assert.Contains(t, text, "https://example.com/other%2F1.0/other-arm")
				assert.NotContains(t, text, "stdlib")
				continue
			}
			assert.Contains(t, text, `"v1.2.3+4"`, "the version of the program, which is stamped on no module")
			assert.Contains(t, text, "pkg:golang/stdlib@"+strings.TrimPrefix(runtime.Version(), "go"))
			assert.Contains(t, text, "pkg:golang/github.com/google/uuid@v1.")
			assert.Contains(t, text, "h1:")
		}
		again, err := WriteSPDX(x)
		require.NoError(t, err)
		assert.Equal(t, string(spdx), string(again))
		again, err = WriteCycloneDX(x)
		require.NoError(t, err)
		assert.Equal(t, string(cyclone), string(again))

		// The libraries of both formats read the bills.
		doc, err := spdxjson.Read(bytes.NewReader(spdx))
		require.NoError(t, err)
		assert.Equal(t, "sample", doc.Packages[0].PackageName)
		var bom cdx.BOM
		require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(cyclone), cdx.BOMFileFormatJSON).Decode(&bom))
		assert.Equal(t, "1.2.3+4", bom.Metadata.Component.Version)
		assert.True(t, strings.HasPrefix(bom.SerialNumber, "urn:uuid:"))
	}
}

// Every reference refers to exactly one part.
func TestReferencesResolve(t *testing.T) {
	for _, x := range append(sample(t).Children, sample(t)) {
		b := billOf(x)
		there := map[string]bool{}
		for _, p := range append([]part{b.subject}, b.others...) {
			assert.False(t, there[p.ref], p.ref)
			there[p.ref] = true
		}
		for _, r := range b.relations {
			assert.True(t, there[r.from] && there[r.to], r)
		}
	}
}

// Another image has another serial number.
func TestSerialFollowsTheDigest(t *testing.T) {
	x := sample(t)
	one := billOf(x).id
	x.Digest = "sha256:" + strings.Repeat("d", 64)
	assert.NotEqual(t, one, billOf(x).id)
}

// The bills contain nothing of the machine on which they were made.
func TestNothingOfTheMachine(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	here, err := os.Getwd()
	require.NoError(t, err)
	text, err := WriteSPDX(sample(t))
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	if len(host) > 6 { // a short name may be a part of a word
		assert.NotContains(t, string(text), host)
	}
	assert.NotContains(t, string(text), here)
}

// The bill of an archive is about that file, and says the same about the program in it.
func TestArchive(t *testing.T) {
	spdxSchema, cycloneSchema := schemas(t)
	x := sample(t).Children[0]
	x.Archive = "sample_1.2.3_linux_amd64.tar.gz"
	spdx, err := WriteSPDX(x)
	require.NoError(t, err)
	cyclone, err := WriteCycloneDX(x)
	require.NoError(t, err)
	requireValid(t, spdxSchema, spdx)
	requireValid(t, cycloneSchema, cyclone)
	for _, text := range []string{string(spdx), string(cyclone)} {
		require.Contains(t, text, "pkg:generic/sample@1.2.3%2B4?checksum=sha256%3A")
		require.Contains(t, text, "&file_name=sample_1.2.3_linux_amd64.tar.gz")
		require.NotContains(t, text, "pkg:oci/")
		require.Contains(t, text, "pkg:golang/stdlib@")
	}
	doc, err := spdxjson.Read(bytes.NewReader(spdx))
	require.NoError(t, err)
	require.Equal(t, x.Archive, doc.Packages[0].PackageName)
	require.Equal(t, "ARCHIVE", doc.Packages[0].PrimaryPackagePurpose)
}
