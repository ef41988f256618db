package provenance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sample() Build {
	return Build{
		Type:      ImageBuild,
		Subjects:  []Subject{{"sample", "sha256:" + strings.Repeat("a", 64)}, {"sample linux/amd64", "sha256:" + strings.Repeat("b", 64)}},
		External:  map[string]any{"image": "sample", "platforms": []any{"linux/amd64"}},
		Internal:  map[string]any{"environment": []any{"CGO_ENABLED=0"}},
		Materials: []Material{Revision{Commit: strings.Repeat("1", 40), Dirty: true}.Material("https://example.com/sample"), {Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(runtime.Version(), "go")}},
		Version:   "1.2.3",
		Byproducts: []Byproduct{
			{Name: "sbom", MediaType: "application/spdx+json", Digest: "sha256:" + strings.Repeat("c", 64)},
		},
	}
}

// A SLSA v1 statement, the same bytes each time.
func TestWriteAndRead(t *testing.T) {
	text, err := Write(sample())
	require.NoError(t, err)
	for range 20 { // the output of protojson would differ within 20 tries
		again, err := Write(sample())
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	}
	s, err := Read(text)
	require.NoError(t, err)
	assert.Equal(t, PredicateType, s.PredicateType)
	assert.Equal(t, sample().Subjects, s.Subjects)
	assert.Equal(t, sample().Byproducts, s.Byproducts)
	assert.Equal(t, map[string]any{"dirty": true}, s.Dependencies[0].Notes)
	assert.Equal(t, strings.Repeat("1", 40), s.Dependencies[0].Digest["gitCommit"])
	assert.Equal(t, "1.2.3", s.Version)
	assert.True(t, s.Names("sha256:"+strings.Repeat("b", 64)))
	assert.False(t, s.Names("sha256:"+strings.Repeat("c", 64)))
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":   "is not an in-toto statement",
		"{}": "is not a whole in-toto statement",
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + strings.Repeat("aa", 32) + `"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"x":1}}`: "is not SLSA provenance",
		`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x","predicate":{}}`:                                                                                           "is not a whole in-toto statement",
	} {
		_, err := Read([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}

func FuzzRead(f *testing.F) {
	text, err := Write(sample())
	require.NoError(f, err)
	f.Add(text)
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = Read(text) }) // only a panic is a failure
}

// The statement records the commit, and whether the folder is as
// committed.
func TestRevisionOf(t *testing.T) {
	dir := t.TempDir()
	git := func(arguments ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, arguments...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		return strings.TrimSpace(string(out))
	}
	ctx := context.Background()
	assert.Equal(t, Revision{}, RevisionOf(ctx, dir), "no repository")
	git("init", "-q")
	assert.Equal(t, Revision{}, RevisionOf(ctx, dir), "no commit")
	git("commit", "-q", "--allow-empty", "-m", "one")
	commit := git("rev-parse", "HEAD")
	assert.Equal(t, Revision{Commit: commit}, RevisionOf(ctx, dir))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	assert.Equal(t, Revision{}, RevisionOf(ctx, filepath.Join(dir, "sub")), "a copy of the sources inside another clone")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "untracked"), nil, 0o600))
	assert.Equal(t, Revision{Commit: commit, Dirty: true}, RevisionOf(ctx, dir))
	t.Setenv("GIT_DIR", "/nonexistent")
	assert.Equal(t, Revision{Commit: commit, Dirty: true}, RevisionOf(ctx, dir), "variables of the caller's stay outside")
	t.Setenv("PATH", "")
	assert.Equal(t, Revision{}, RevisionOf(ctx, dir), "no git")
}
