package inject

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	jobmesh "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

var update = flag.Bool("update", false, "write the files after the move again")

var sidecarsLine = regexp.MustCompile(`(?m)^sidecars: (.*)$`)

// A migration is a manifest before and after a move into the native place, in the shape of
// one that people have made by hand.
type migration struct {
	file     string
	archive  *txtar.Archive
	sidecars []string
	before   string
}

func migrations(t testing.TB) []migration {
	files, err := filepath.Glob("testdata/native/*.txtar")
	require.NoError(t, err)
	var all []migration
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(t, err)
		m := migration{file: file, archive: archive, before: string(archive.Files[0].Data)}
		m.sidecars = strings.Fields(sidecarsLine.FindStringSubmatch(string(archive.Comment))[1])
		if strings.Contains(string(archive.Comment), "\ncrlf: yes") {
			m.before = strings.ReplaceAll(m.before, "\n", "\r\n")
		}
		all = append(all, m)
	}
	require.Len(t, all, 12)
	return all
}

// holder is the object that has a container of that name.
func holder(t testing.TB, d *manifest.Document, name string) manifest.Path {
	for _, o := range d.Objects() {
		for _, template := range o.PodTemplates() {
			for _, c := range template.Containers() {
				if c.Name == name {
					return o.Path
				}
			}
		}
	}
	t.Fatalf("no container %s", name)
	return nil
}

// TestMigrations: what Nativize makes of each is what a careful author would, to the byte;
// and inject with the same settings means the same, says so in its record, and takes it back.
func TestMigrations(t *testing.T) {
	for _, m := range migrations(t) {
		t.Run(strings.TrimSuffix(filepath.Base(m.file), ".txtar"), func(t *testing.T) {
			d := manifest.Parse("before", 1, []byte(m.before))
			require.NoError(t, d.Err)
			path := holder(t, d, m.sidecars[0])
			after, err := Nativize(jobmesh.LibraryChart, d, path, m.sidecars)
			require.NoError(t, err)
			got := string(after.Text)
			if strings.Contains(m.before, "\r\n") {
				require.NotRegexp(t, `[^\r]\n`, got)
				got = strings.ReplaceAll(got, "\r\n", "\n")
			}
			if *update {
				name := strings.Replace(m.archive.Files[0].Name, "before", "after", 1)
				m.archive.Files = append(m.archive.Files[:1], txtar.File{Name: name, Data: []byte(got)})
				require.NoError(t, os.WriteFile(m.file, txtar.Format(m.archive), 0o644))
			}
			require.Equal(t, string(m.archive.Files[1].Data), got)

			settings := map[string]any{"mode": "native", "sidecars": anys(m.sidecars)}
			if strings.Contains(m.before, "kind: List") {
				settings["sidecars"] = "known" // the other object has no such name
			}
			injected := ran(t, Options{Library: jobmesh.LibraryChart, Values: map[string]any{"jobmesh": settings}}, m.before)
			require.Equal(t, meanings(t, string(after.Text)), meanings(t, injected))
			require.Equal(t, injected, ran(t, Options{Library: jobmesh.LibraryChart, Values: map[string]any{"jobmesh": settings}}, injected), "twice is once")
			require.Equal(t, m.before, ran(t, Options{Library: jobmesh.LibraryChart, Uninject: true}, injected))
		})
	}
}

func anys(words []string) []any {
	var all []any
	for _, w := range words {
		all = append(all, w)
	}
	return all
}

// ran is what inject makes of a stream, without a mistake and without leaving anything out.
func ran(t testing.TB, o Options, text string) string {
	in, err := New(o)
	require.NoError(t, err)
	var out bytes.Buffer
	result, err := in.Run(context.Background(), []string{manifest.Stdin}, strings.NewReader(text), &out)
	require.NoError(t, err)
	require.Empty(t, result.Mistakes)
	for _, n := range result.Notes {
		require.NotEqual(t, Skipped, n.Action, n.String())
	}
	return out.String()
}

// meanings are what the documents of a stream mean, without the record of inject.
func meanings(t testing.TB, text string) []any {
	trees := documentsOf(t, text)
	for _, tree := range trees {
		forget(tree)
	}
	return trees
}

func forget(tree any) {
	o, _ := tree.(map[string]any)
	metadata, _ := o["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, Record)
	if annotations != nil && len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	items, _ := o["items"].([]any)
	for _, item := range items {
		forget(item)
	}
}
