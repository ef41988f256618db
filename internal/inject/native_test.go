package inject

import (
	"bytes"
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
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

// A migration is a manifest before and after a container was moved to the place of native
// sidecars. Each has the shape of a change that people have made by hand.
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

// holder returns the path of the object that has a container of that name.
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

// TestMigrations: Nativize makes of each manifest what a careful author would, to the byte.
// Inject with the same settings gives the same content and a record, and takes it back.
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
				settings["sidecars"] = "known" // the other object has no container of that name
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

// ran returns what inject makes of a stream, which must have no mistake and no skipped object.
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

// meanings returns the contents of the documents of a stream, without the record of inject.
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

// movedOnly says what else differs between the contents before and after a container of one pod
// spec became a native sidecar; it returns "" where nothing else does.
func movedOnly(before, after any, spec manifest.Path, name string) string {
	list := func(tree any, field string) []any {
		items, _ := manifest.Lookup(tree, spec.Join(field)).([]any)
		return items
	}
	without := func(items []any) (rest []any, found map[string]any) {
		for _, item := range items {
			if fields, _ := item.(map[string]any); nameOf(item) == name && found == nil {
				found = fields
				continue
			}
			rest = append(rest, item)
		}
		return rest, found
	}
	left, was := without(list(before, containers))
	inits, is := without(list(after, initContainers))
	switch {
	case was == nil || is == nil:
		return name + " was not moved"
	case !reflect.DeepEqual(left, list(after, containers)):
		return "other containers have changed"
	case len(inits) != len(list(before, initContainers)) || len(inits) > 0 && !reflect.DeepEqual(inits, list(before, initContainers)):
		return "other init containers have changed"
	case is["restartPolicy"] != "Always" || is[rulesField] != nil:
		return name + " is no native sidecar"
	}
	is, was = maps.Clone(is), maps.Clone(was)
	old, _ := was["args"].([]any)
	args, _ := is["args"].([]any)
	if len(args) < len(old) || len(old) > 0 && !reflect.DeepEqual(args[len(args)-len(old):], old) {
		return "its arguments are not behind others"
	}
	if was["startupProbe"] != nil && !reflect.DeepEqual(was["startupProbe"], is["startupProbe"]) {
		return "its startup probe is another one"
	}
	for _, field := range []string{"restartPolicy", rulesField, "args", "startupProbe"} {
		delete(was, field)
		delete(is, field)
	}
	if !reflect.DeepEqual(was, is) {
		return "it has changed"
	}
	for _, field := range []string{containers, initContainers} {
		before, after = with(before, spec.Join(field), nil), with(after, spec.Join(field), nil)
	}
	if !reflect.DeepEqual(before, after) {
		return "something else has changed"
	}
	return ""
}

// The check itself has to find such differences.
func TestMovedOnly(t *testing.T) {
	tree := func(text string) any { return documentsOf(t, text)[0] }
	const was = "{a: 1, containers: [{name: m}, {name: db, args: [x], image: i}], initContainers: [{name: w}]}"
	for after, want := range map[string]string{
		"{a: 1, containers: [{name: m}], initContainers: [{name: db, args: [y, x], image: i, restartPolicy: Always}, {name: w}]}": "",
		"{a: 2, containers: [{name: m}], initContainers: [{name: db, args: [x], image: i, restartPolicy: Always}, {name: w}]}":    "something else has changed",
		"{a: 1, containers: [{name: n}], initContainers: [{name: db, args: [x], image: i, restartPolicy: Always}, {name: w}]}":    "other containers have changed",
		"{a: 1, containers: [{name: m}], initContainers: [{name: db, args: [x], image: i, restartPolicy: Always}]}":               "other init containers have changed",
		"{a: 1, containers: [{name: m}], initContainers: [{name: db, args: [x], image: j, restartPolicy: Always}, {name: w}]}":    "it has changed",
		"{a: 1, containers: [{name: m}], initContainers: [{name: db, args: [x, y], image: i, restartPolicy: Always}, {name: w}]}": "its arguments are not behind others",
		"{a: 1, containers: [{name: m}], initContainers: [{name: db, args: [x], image: i}, {name: w}]}":                           "db is no native sidecar",
		"{a: 1, containers: [{name: m}, {name: db, args: [x], image: i}], initContainers: [{name: w}]}":                           "db was not moved",
	} {
		require.Equal(t, want, movedOnly(tree(was), tree(after), nil, "db"), after)
	}
}

// FuzzNativize: for any manifest, moving a container changes nothing else in its content;
// inject makes the same move, which can be taken back to the byte.
func FuzzNativize(f *testing.F) {
	for _, m := range migrations(f) {
		f.Add(strings.ReplaceAll(m.before, m.sidecars[0], "db"))
	}
	for _, shape := range shapes(f) {
		f.Add(shape)
	}
	for _, metadata := range []string{"", "metadata:\n", "metadata: {}\n", "metadata: {annotations: }\n"} {
		f.Add("apiVersion: v1\nkind: Pod\n" + metadata + "spec:\n  restartPolicy: Never\n  containers: [{name: main}, {name: db}]\n")
	}
	settings := map[string]any{"mode": "native", "sidecars": []any{"db"}}
	in, out := injector(f, settings, false), injector(f, settings, true)
	f.Fuzz(func(t *testing.T, text string) {
		err := manifest.Scan("f", strings.NewReader(text), func(d *manifest.Document) error {
			if d.Err != nil || d.Root == nil {
				return nil
			}
			for _, o := range d.Objects() {
				result, err := in.nativize(d, o.Path)
				if err != nil {
					continue
				}
				before, after := documentsOf(t, string(d.Text))[0], documentsOf(t, string(result.Text))[0]
				for _, template := range o.PodTemplates() {
					_, spec := template.Spec()
					if spec = o.Path.Join(spec...); len(o.PodTemplates()) == 1 && string(d.Text) != string(result.Text) {
						require.Empty(t, movedOnly(before, after, spec, "db"))
					}
				}
			}
			return nil
		})
		require.NoError(t, err)
		once, result := run(t, in, text)
		if len(result.Mistakes) > 0 || strings.Contains(text, "jobmesh") {
			return
		}
		twice, result := run(t, in, once)
		require.Empty(t, result.Mistakes)
		require.Equal(t, once, twice)
		back, result := run(t, out, once)
		require.Empty(t, result.Mistakes)
		require.Equal(t, text, back)
	})
}
