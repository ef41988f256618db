package chart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

const applicationChart = `apiVersion: v2
name: runs
version: 0.0.1
dependencies:
  - name: sample
    version: 0.0.1
    repository: file://../sample # beside it
`

func writeApplication(t *testing.T, chartYAML string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Chart.yaml": chartYAML,
		"Chart.lock": "digest: made by helm dependency build\n",
		// A rendering in the sources has left this file in the folder.
		"charts/sample/Chart.yaml": "apiVersion: v2\nname: sample\nversion: 0.0.1\n",
		"templates/a.yaml":         "a: 1\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func library(t *testing.T, pin Pin, repository string) Library {
	t.Helper()
	a, err := Pack(writeChart(t, values), pin, modified)
	require.NoError(t, err)
	return Library{Archive: a, Repository: repository}
}

func TestApplicationCarriesTheLibrary(t *testing.T) {
	first := library(t, Pin{Digest: digest}, "oci://registry.example.com/a")
	a, err := PackApplication(writeApplication(t, applicationChart), first, modified)
	require.NoError(t, err)
	assert.Equal(t, "runs-1.2.3.tgz", a.FileName(), "released with the library, under its version")
	assert.Equal(t, "1.2.3", a.Metadata.Dependencies[0].Version)
	assert.Equal(t, "oci://registry.example.com/a", a.Metadata.Dependencies[0].Repository)
	found := files(t, a.Bytes)
	assert.Len(t, found, 3)
	assert.Equal(t, string(first.Bytes), found["runs/charts/sample-1.2.3.tgz"])
	assert.Equal(t, "a: 1\n", found["runs/templates/a.yaml"])
	assert.Contains(t, found["runs/Chart.yaml"], "    repository: oci://registry.example.com/a\n")

	second := library(t, Pin{Digest: digest, Registry: "127.0.0.1:5000"}, "oci://127.0.0.1:5000")
	again, err := RepackApplication(a.Bytes, second)
	require.NoError(t, err)
	carried, err := LibraryIn(again.Bytes)
	require.NoError(t, err)
	assert.Equal(t, second.Bytes, carried)
	back, err := RepackApplication(again.Bytes, first)
	require.NoError(t, err)
	assert.Equal(t, a.Bytes, back.Bytes)
}

func TestApplicationThatCannotCarryIt(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: v2\nname: runs\nversion: 4.5.6\n": "chart runs: must have one dependency in Chart.yaml, sample",
		`apiVersion: v2
name: runs
version: 4.5.6
dependencies:
  - {name: sample, version: 1.2.3, repository: "file://../sample"}
`: "chart runs: has 0 lines with the version of a dependency in Chart.yaml, not one",
	} {
		_, err := PackApplication(writeApplication(t, text), library(t, Pin{Digest: digest}, "oci://r"), modified)
		assert.EqualError(t, err, want)
		assert.Equal(t, fault.Build, fault.Code(err))
	}
	_, err := RepackApplication([]byte("no archive"), library(t, Pin{Digest: digest}, "oci://r"))
	assert.Equal(t, fault.Input, fault.Code(err))
	_, err = LibraryIn(library(t, Pin{Digest: digest}, "").Bytes)
	assert.EqualError(t, err, "carries no library chart")
}
