package inject

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	library "github.com/jobmesh/jobmesh"
)

// lock is a lock file as jobmesh resolve writes it.
const lock = `images:
  - image: cache:7
    entrypoint: [docker-entrypoint.sh]
    cmd: [cache-server]
`

func injector(t testing.TB, settings map[string]any, uninject bool) *Injector {
	t.Helper()
	in, err := New(Options{Library: library.LibraryChart, Values: map[string]any{"jobmesh": settings}, Lock: []byte(lock), Uninject: uninject})
	require.NoError(t, err)
	return in
}

// run returns the injected stream and the mistakes.
func run(t testing.TB, in *Injector, input string) (string, Result) {
	t.Helper()
	var out bytes.Buffer
	result, err := in.Run(context.Background(), []string{"-"}, strings.NewReader(input), &out)
	require.NoError(t, err, "input: %s", input)
	return out.String(), result
}

// shapes returns the ways of writing a Job that are in testdata/shapes.
func shapes(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/shapes/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		all[filepath.Base(name)] = string(text)
	}
	return all
}

// TestShapes shows for each shape, with each kind of line end, that it is injected once only,
// and restored to the byte.
func TestShapes(t *testing.T) {
	for _, settings := range []map[string]any{
		{},
		{"mesh": "istio", "delivery": "imageVolume"},
		{"mode": "hook", "mesh": "linkerd", "containers": []any{"main"}},
		{"mode": "native", "mesh": "linkerd"},
		{"containers": "all", "image": map[string]any{"pullSecrets": []any{"secret"}}, "annotations": map[string]any{"on": "yes"}},
	} {
		in, out := injector(t, settings, false), injector(t, settings, true)
		for name, shape := range shapes(t) {
			for end, text := range map[string]string{"LF": shape, "CRLF": strings.ReplaceAll(shape, "\n", "\r\n"), "open": strings.TrimSuffix(shape, "\n")} {
				t.Run(name+"/"+end, func(t *testing.T) {
					once, result := run(t, in, text)
					require.Empty(t, result.Mistakes)
					require.NotEqual(t, text, once)
					requireOnlyAdds(t, text, once)
					twice, _ := run(t, in, once)
					require.Equal(t, once, twice)
					back, result := run(t, out, once)
					require.Empty(t, result.Mistakes)
					require.Equal(t, text, back)
					if end == "CRLF" {
						require.Equal(t, strings.Count(once, "\n"), strings.Count(once, "\r\n"))
					}
				})
			}
		}
	}
}

// TestImageDigest: a build that knows its image pins it, unless a value says otherwise.
func TestImageDigest(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		image map[string]any
		want  string
	}{
		{map[string]any{}, "image: ghcr.io/jobmesh/jobmesh-wrap@" + digest + "\n"},
		{map[string]any{"registry": "mirror.example"}, "image: mirror.example/jobmesh/jobmesh-wrap@" + digest + "\n"},
		{map[string]any{"digest": "", "tag": "next"}, "image: ghcr.io/jobmesh/jobmesh-wrap:next\n"},
	} {
		in, err := New(Options{Library: library.LibraryChart, Image: Image{Digest: digest}, Values: map[string]any{"jobmesh": map[string]any{"image": c.image}}})
		require.NoError(t, err)
		out, result := run(t, in, shapes(t)["block.yaml"])
		require.Empty(t, result.Mistakes)
		require.Contains(t, out, c.want)
	}
}

// FuzzInject shows for arbitrary streams that nothing panics, that the output is not injected a
// second time, that it means the same apart from what was added, and that it is restored to the
// byte.
func FuzzInject(f *testing.F) {
	for _, shape := range shapes(f) {
		f.Add(shape)
		f.Add(strings.ReplaceAll(shape, "\n", "\r\n"))
	}
	f.Add("{{}}") // a key that Kubernetes cannot read
	settings := map[string]any{"mesh": "linkerd", "containers": "all"}
	in, out := injector(f, settings, false), injector(f, settings, true)
	f.Fuzz(func(t *testing.T, text string) {
		once, result := run(t, in, text)
		if len(result.Mistakes) > 0 {
			for _, m := range result.Mistakes {
				if m.Err == errLost {
					t.Fatal(m)
				}
			}
			return
		}
		requireOnlyAdds(t, text, once)
		twice, result := run(t, in, once)
		require.Empty(t, result.Mistakes)
		require.Equal(t, once, twice)
		back, result := run(t, out, once)
		require.Empty(t, result.Mistakes)
		if !strings.Contains(text, Record) && !strings.Contains(text, recordOf01) && !strings.Contains(text, `jobmesh\`) && !strings.Contains(text, `jobmesh.dev\`) {
			require.Equal(t, text, back)
		}
	})
}

func BenchmarkInject(b *testing.B) {
	text, err := os.ReadFile("testdata/shapes/block.yaml")
	require.NoError(b, err)
	in := injector(b, map[string]any{}, false)
	stream := strings.Repeat("---\n"+string(text), 200)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		_, result := run(b, in, stream)
		require.Empty(b, result.Mistakes)
	}
}
