package results_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

var (
	classic = results.Result{Mesh: "Istio", Version: "1.31", Real: true, Sidecar: "classic", Shows: "finishes", Test: "TestIstio"}
	native  = results.Result{Mesh: "Istio", Version: "1.31", Real: true, Sidecar: "native", Shows: "finishes", Test: "TestIstio"}
	seldom  = results.Result{Mesh: "Istio", Version: "1.31", Real: true, Sidecar: "native", Shows: "more", Test: "TestIstio", All: true}
	other   = results.Result{Mesh: "Dapr", Version: "1.18", Real: true, Sidecar: "native", Shows: "finishes", Test: "TestDapr"}
)

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	none, err := results.Read(file)
	require.NoError(t, err)
	assert.Empty(t, none)
	written := []results.Result{classic, seldom}
	require.NoError(t, results.Write(file, written))
	read, err := results.Read(file)
	require.NoError(t, err)
	assert.Equal(t, written, read)
	require.NoError(t, os.WriteFile(file, []byte("no"), 0o644))
	_, err = results.Read(file)
	require.ErrorContains(t, err, file)
}

// A run of some tests keeps the results of other tests, and a run of some combinations keeps the results that only a
// run of all combinations shows.
func TestMerge(t *testing.T) {
	kept := []results.Result{classic, other, seldom}
	assert.Equal(t, []results.Result{other, native, seldom}, results.Run{Found: []results.Result{native, native}}.Merge(kept))
	assert.Equal(t, []results.Result{other, native}, results.Run{Found: []results.Result{native}, All: true}.Merge(kept))
}

func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		run   results.Run
		kept  []results.Result
		wrong string
	}{
		"the same":                        {results.Run{Found: []results.Result{classic, classic}, Whole: true}, []results.Result{classic}, ""},
		"one more":                        {results.Run{Found: []results.Result{classic, native}}, []results.Result{classic}, "shown, and not kept: {Mesh:Istio Version:1.31 Real:true Sidecar:native"},
		"one less":                        {results.Run{Found: []results.Result{classic}, Whole: true}, []results.Result{classic, native}, "kept, and not shown: {Mesh:Istio Version:1.31 Real:true Sidecar:native"},
		"one less, of some tests":         {results.Run{Found: []results.Result{classic}}, []results.Result{classic, other}, ""},
		"one less, of some combinations":  {results.Run{Found: []results.Result{classic}, Whole: true}, []results.Result{classic, seldom}, ""},
		"one less, of all combinations":   {results.Run{Found: []results.Result{classic}, Whole: true, All: true}, []results.Result{classic, seldom}, "Shows:more"},
		"another version of what was run": {results.Run{Found: []results.Result{{Mesh: "Istio", Version: "1.32"}}}, []results.Result{classic}, "1.32"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.run.Compare(test.kept)
			if test.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.wrong)
		})
	}
}
