package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// scan reads a stream and returns its documents.
func scan(t testing.TB, stream string) []*Document {
	t.Helper()
	var documents []*Document
	require.NoError(t, Scan("file.yaml", strings.NewReader(stream), func(d *Document) error {
		documents = append(documents, d)
		return nil
	}))
	return documents
}

func TestScan(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		texts        []string // of the documents; together they are the stream
		lines        []int    // on which their values begin, 0 for none
	}{
		{"one", "a: 1\n", []string{"a: 1\n"}, []int{1}},
		{"without newline", "a: 1", []string{"a: 1"}, []int{1}},
		{"two", "a: 1\n---\nb: 2\n", []string{"a: 1\n", "---\nb: 2\n"}, []int{1, 3}},
		{"spaces and a comment behind the separator", "a: 1\n---  \t\nb: 2\n--- # c\nc: 3", []string{"a: 1\n", "---  \t\nb: 2\n", "--- # c\nc: 3"}, []int{1, 3, 5}},
		{"content behind the separator", "--- {a: 1}\n--- b\n", []string{"--- {a: 1}\n", "--- b\n"}, []int{1, 2}},
		{"a leading separator", "---\na: 1\n", []string{"---\na: 1\n"}, []int{2}},
		{"empty documents", "---\n---\n\n---\n# nothing\n---\na: 1\n", []string{"---\n", "---\n\n", "---\n# nothing\n", "---\na: 1\n"}, []int{0, 0, 0, 7}},
		{"only comments", "# a\n# b\n", []string{"# a\n# b\n"}, []int{0}},
		{"document end", "a: 1\n...\nb: 2\n...\n", []string{"a: 1\n...\n", "b: 2\n...\n"}, []int{1, 3}},
		{"directives", "%YAML 1.1\n---\na: 1\n...\n# c\n%YAML 1.1\n---\nb: 2\n", []string{"%YAML 1.1\n---\na: 1\n...\n", "# c\n%YAML 1.1\n---\nb: 2\n"}, []int{3, 8}},
		{"separators that are none", "a: |\n  ---\n  b\n ---\nc: ---d\n", []string{"a: |\n  ---\n  b\n ---\nc: ---d\n"}, nil},
		{"in a block scalar, indented", "a: |\n  ---\n  ...\nb: 1\n", []string{"a: |\n  ---\n  ...\nb: 1\n"}, []int{1}},
		{"CRLF", "a: 1\r\n---\r\nb: 2\r\n", []string{"a: 1\r\n", "---\r\nb: 2\r\n"}, []int{1, 3}},
		{"byte order mark", "\ufeff---\na: 1\n---\nb: 2\n", []string{"\ufeff---\na: 1\n", "---\nb: 2\n"}, []int{2, 4}},
		{"byte order mark behind a separator", "a: 1\n---\n\ufeffb: 2\n---\n\ufeff{\"c\": 3}\n", []string{"a: 1\n", "---\n\ufeffb: 2\n", "---\n\ufeff{\"c\": 3}\n"}, []int{1, 3, 5}},
		{"JSON", "{\"a\": 1}\n", []string{"{\"a\": 1}\n"}, []int{1}},
		{"JSON without separators", "{\"a\": 1}\n{\"b\": 2} {\"c\": 3}\n", []string{"{\"a\": 1}", "\n{\"b\": 2}", " {\"c\": 3}\n"}, []int{1, 2, 2}},
		{"JSON behind a separator", "a: 1\n---\n{\"b\": 2}\n{\"c\": 3}\n", []string{"a: 1\n", "---\n{\"b\": 2}", "\n{\"c\": 3}\n"}, []int{1, 3, 4}},
		{"nothing", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			documents := scan(t, c.stream)
			var texts []string
			offset := int64(0)
			for i, d := range documents {
				require.Equal(t, offset, d.Offset)
				require.Equal(t, 1+strings.Count(c.stream[:offset], "\n"), d.Line)
				offset += int64(len(d.Text))
				texts = append(texts, string(d.Text))
				if c.lines == nil {
					continue
				}
				require.NoError(t, d.Err)
				line := 0
				if d.Root != nil {
					line = d.Root.Line
				}
				require.Equal(t, c.lines[i], line, "document %d", i+1)
			}
			require.Equal(t, c.texts, texts)
			require.Equal(t, c.stream, strings.Join(texts, ""))
		})
	}
}

func TestScanRefuses(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	for _, c := range []struct{ name, stream, want string }{
		{"broken YAML", "a: 1\n---\nb: 2\n c: 3\n", "file.yaml:4: mapping values are not allowed in this context"},
		{"an open list", "a: 1\nb:\n  - c: [d\n    e: f\n", "file.yaml:3: did not find expected ',' or ']'"},
		{"a tab", "a:\n\tb: 1\n", "file.yaml:2: found character that cannot start any token"},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00", "file.yaml: is a binary file, not a manifest"},
		{"UTF-16", "\xff\xfea\x00:\x00", "file.yaml: is UTF-16; convert it to UTF-8, as with iconv -f UTF-16 -t UTF-8"},
		{"Latin-1", "a: \xe9\n", "file.yaml:1: is not UTF-8"},
		{"a cycle", "a: &a\n  b: *a\n", "file.yaml:1: anchor &a contains itself"},
		{"a bomb", bomb, "file.yaml:1: has aliases that stand for more than 4194304 values"},
		{"depth", strings.Repeat("[", 600) + strings.Repeat("]", 600), "file.yaml:1: is nested deeper than 500 levels"},
		{"great depth", strings.Repeat("[", 1<<20), "file.yaml:1: exceeded max depth of 10000"},
		{"an unknown anchor", "a: *b\n", "file.yaml:1: unknown anchor 'b' referenced"},
		{"two values", "{a: 1}\n{b: 2}\n", "file.yaml:2: did not find expected <document start>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var messages []string
			good := 0
			for _, d := range scan(t, c.stream) {
				if d.Err != nil {
					messages = append(messages, d.Err.Error())
					continue
				}
				good++
			}
			require.Equal(t, []string{c.want}, messages)
		})
	}
	t.Run("one of three", func(t *testing.T) {
		documents := scan(t, "a: 1\n---\na: [\n---\nb: 1\n")
		require.Len(t, documents, 3)
		require.NoError(t, documents[0].Err)
		require.EqualError(t, documents[1].Err, "file.yaml:3: did not find expected node content")
		require.NoError(t, documents[2].Err)
		require.Equal(t, 5, documents[2].Root.Line)
	})
}

// A line of 100 MiB is refused before it is read as a whole.
func TestScanEndsEarly(t *testing.T) {
	read := 0
	endless := readerFunc(func(p []byte) (int, error) {
		read += len(p)
		return copy(p, bytes.Repeat([]byte("a"), len(p))), nil
	})
	var documents []*Document
	require.NoError(t, Scan("f", endless, func(d *Document) error { documents = append(documents, d); return nil }))
	require.Len(t, documents, 1)
	require.EqualError(t, documents[0].Err, "f:1: a document of more than 16 MiB is too long")
	require.Less(t, read, 20<<20)
}

func TestReaderFails(t *testing.T) {
	var got error
	failing := io.MultiReader(strings.NewReader("a: 1\n---\n"), readerFunc(func([]byte) (int, error) { return 0, errors.New("gone") }))
	require.NoError(t, Scan("f", failing, func(d *Document) error { got = d.Err; return nil }))
	require.EqualError(t, got, "gone")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestOffsetOf(t *testing.T) {
	stream := "x: 1\n--- # ä\nä: é # ü\nb: [\"\\\"\", *u]\n"
	stream = strings.Replace(stream, "ä: é", "ä: &u é", 1)
	d := scan(t, stream)[1]
	require.NoError(t, d.Err)
	at := func(n *yaml.Node) string {
		line, _, _ := strings.Cut(string(d.Text[d.OffsetOf(n):]), "\n")
		return line
	}
	require.Equal(t, "ä: &u é # ü", at(d.Root.Content[0]))
	require.Equal(t, "&u é # ü", at(d.Root.Content[1]))
	require.Equal(t, `["\"", *u]`, at(d.Root.Content[3]))
	require.Equal(t, `*u]`, at(d.Root.Content[3].Content[1]))
	require.Equal(t, 4, d.Root.Content[3].Line)

	d = scan(t, "\ufeffa: x\u2028b: y\r\nc: z\n")[0]
	require.Equal(t, "y\r", at(d.Root.Content[3]))
	require.Equal(t, "z", at(d.Root.Content[5]))

	d = scan(t, "---\r\n\ufeffa: x\r\nb: y\r\n")[0]
	require.Equal(t, "x", Text(Get(d.Root, "a")))
	require.Equal(t, "a: x\r", at(d.Root.Content[0]))
	require.Equal(t, "y\r", at(d.Root.Content[3]))
}

func TestJSONStrings(t *testing.T) {
	d := scan(t, `{"a":"\ud83d\ude00","b":"x\/y\\/\tz","c":"\ufffd"}`)[0]
	require.NoError(t, d.Err)
	require.True(t, d.JSON)
	require.Equal(t, "😀", Text(Get(d.Root, "a")))
	require.Equal(t, "x/y\\/\tz", Text(Get(d.Root, "b")))
	require.Equal(t, "\ufffd", Text(Get(d.Root, "c")))
}

func TestGet(t *testing.T) {
	d := scan(t, `
base: &base {image: a, name: base, env: [x]}
more: &more {stdin: true}
container:
  <<: [*base, *more]
  name: main
  name: last
again: *base
`)[0]
	require.NoError(t, d.Err)
	require.Equal(t, "last", Text(Get(d.Root, "container", "name")), "the last one wins")
	require.Equal(t, "a", Text(Get(d.Root, "container", "image")))
	require.Equal(t, "true", Text(Get(d.Root, "container", "stdin")))
	require.Equal(t, "x", Text(Get(d.Root, "again", "env", 0)))
	require.Nil(t, Get(d.Root, "again", "env", 1))
	require.Nil(t, Get(d.Root, "again", "none", "below"))
	_, own := Field(Get(d.Root, "container"), "image")
	require.Nil(t, own, "it is merged, not its own")
	var names []string
	Each(Get(d.Root, "container"), func(key, value *yaml.Node) { names = append(names, key.Value+"="+value.Value) })
	require.Equal(t, []string{"name=last", "image=a", "env=", "stdin=true"}, names)
}

func TestObjects(t *testing.T) {
	d := scan(t, `apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: Job
  metadata: {name: migrate, namespace: prod}
  spec:
    template:
      spec:
        initContainers: [{name: first}, {name: proxy, restartPolicy: Always}]
        containers: [{name: main, command: [/app]}]
- apiVersion: config.kubernetes.io/v1
  kind: ResourceList
  items:
  - {apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {generateName: set-}, spec: {replicatedJobs: [{name: a, template: {spec: {template: {spec: {containers: []}}}}}, {name: b}]}}
- {apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {templates: [{name: steps, steps: []}, {name: run, container: {image: a}}]}}
- {apiVersion: batch.volcano.sh/v1alpha1, kind: Job, metadata: {name: train}, spec: {tasks: []}}
- {apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: train}, spec: {pytorchReplicaSpecs: {Master: {template: {spec: {}}}, Worker: {template: {spec: {}}}}}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: map}}
`)[0]
	require.NoError(t, d.Err)
	var got []string
	for _, o := range d.Objects() {
		line := fmt.Sprintf("%d %s %s", o.Line(), o.Path, o)
		for _, template := range o.PodTemplates() {
			line += " | " + template.Path.String()
			for _, c := range template.Containers() {
				line += fmt.Sprintf(" %s(%v,%v)", c.Path, c.Init, c.Native)
				require.Same(t, c.Node, Get(o.Node, c.Path...))
			}
		}
		got = append(got, line)
	}
	require.Equal(t, []string{
		"4 items[0] Job/prod/migrate | spec.template spec.template.spec.initContainers[0](true,false) spec.template.spec.initContainers[1](true,true) spec.template.spec.containers[0](false,false)",
		"15 items[1].items[0] JobSet/set- | spec.replicatedJobs[0].template.spec.template",
		"16 items[2] Workflow/(no name) | spec.templates[1] spec.templates[1].container(false,false)",
		"17 items[3] Job/train",
		"18 items[4] PyTorchJob/train | spec.pytorchReplicaSpecs.Master.template | spec.pytorchReplicaSpecs.Worker.template",
		"19 items[5] ConfigMap/map",
	}, got)
}

func TestPathString(t *testing.T) {
	require.Equal(t, `metadata.annotations["linkerd.io/inject"]`, Path{"metadata", "annotations", "linkerd.io/inject"}.String())
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a/z.yml", "a/c.json", "a/readme.md", ".git/x.yaml", "one.txt", "empty/readme", "jobmesh.lock.yaml"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o644))
	}
	t.Chdir(dir)
	files, err := Files([]string{"one.txt", "-", "."})
	require.NoError(t, err)
	require.Equal(t, []string{"one.txt", "-", "a/c.json", "a/z.yml", "b.yaml"}, files)
	_, err = Files([]string{"empty"})
	require.EqualError(t, err, "folder empty: holds no *.yaml, *.yml, *.json")
	_, err = Files([]string{"-", "-"})
	require.EqualError(t, err, "argument - is given twice, and stdin can be read once")
	files, err = Files([]string{"none.yaml", "one.txt"})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, []string{"one.txt"}, files)
	require.NoError(t, os.Symlink("nowhere", "a/gone.yaml"))
	files, err = Files([]string{"a"})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, []string{"a/c.json", "a/z.yml"}, files)
}

// FuzzScan shows that no byte is lost and nothing panics, whatever the stream.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"a: 1\n---\nb: 2\n", "---\n\ufeffb: 2\n", "\ufeff--- # c\r\na: &a [x, *a]\r\n...\r\n%YAML 1.1\n---\n", "{\"a\":\"\\ud83d\\/\"}{}",
		"apiVersion: batch/v1\nkind: Job\nspec: {template: {<<: *x}}\n", "? [a]\n: |+\n  b\n\n", "a\u2028b: \x85\n", "kind: List\nitems: [&a {kind: List, items: [*a]}]\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		var all strings.Builder
		complete := true
		_ = Scan("f", strings.NewReader(stream), func(d *Document) error {
			all.Write(d.Text)
			complete = complete && (d.Text != nil)
			for _, o := range d.Objects() {
				_ = o.String()
				for _, template := range o.PodTemplates() {
					template.Containers()
				}
			}
			if d.Root != nil {
				visitAll(d.Root, func(n *yaml.Node) {
					if at := d.OffsetOf(n); at < 0 || at > len(d.Text) {
						t.Fatalf("offset %d of %d", at, len(d.Text))
					}
				})
			}
			return nil
		})
		if complete && all.String() != stream {
			t.Fatalf("want %q, got %q", stream, all.String())
		}
	})
}

func visitAll(n *yaml.Node, f func(*yaml.Node)) {
	f(n)
	for _, child := range n.Content {
		visitAll(child, f)
	}
}
