package lockfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	chartyaml "sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/fault"
)

func digestOf(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func entry(image, digest string, entrypoint []string, cmd ...string) Entry {
	return Entry{Image: image, Digest: digest, Command: Command{Entrypoint: entrypoint, Cmd: cmd}}
}

func TestLockIsSortedAndStable(t *testing.T) {
	a, b := &Lock{}, &Lock{}
	one, two := entry("redis:7", digestOf("a"), []string{"docker-entrypoint.sh"}, "redis-server"), entry("app", digestOf("b"), nil, "sh", "-c", "a: b # c")
	assert.True(t, a.Set(one))
	assert.True(t, a.Set(two))
	assert.True(t, b.Set(two))
	assert.True(t, b.Set(one))
	assert.False(t, b.Set(one), "the same entry changes nothing")
	first, err := a.Encode()
	require.NoError(t, err)
	second, err := b.Encode()
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
	assert.Equal(t, `# What images run, so that a chart can put the wrapper in front of it.
# Written by jobmesh resolve; read by the library chart and by jobmesh inject.
# An entry without a digest is written by hand: resolve leaves it as it is.

images:
  - image: "app"
    digest: sha256:`+strings.Repeat("b", 64)+`
    entrypoint: []
    cmd: ["sh", "-c", "a: b # c"]
  - image: redis:7
    digest: sha256:`+strings.Repeat("a", 64)+`
    entrypoint: ["docker-entrypoint.sh"]
    cmd: ["redis-server"]
`, string(first))

	again, err := Parse(first)
	require.NoError(t, err)
	third, err := again.Encode()
	require.NoError(t, err)
	assert.Equal(t, string(first), string(third))
}

// The chart reads the file with another parser, of YAML 1.1.
func TestWordsStayWordsForTheChart(t *testing.T) {
	words := []string{"on", "No", "1.0", "0x1f", "12:30", "~", "", "null", "- a", "{}", "a\nb", "\t", "é", "'", `"`, "2001-01-01", "=", "<<", "1_000", "\u0085x"}
	l := &Lock{}
	l.Set(entry("on", digestOf("a"), words))
	l.Set(entry("1.0", digestOf("a"), words))
	text, err := l.Encode()
	require.NoError(t, err)
	var seen struct {
		Images []struct {
			Image, Digest   string
			Entrypoint, Cmd []string
		}
	}
	require.NoError(t, chartyaml.UnmarshalStrict(text, &seen), string(text))
	assert.Equal(t, "1.0", seen.Images[0].Image)
	assert.Equal(t, "on", seen.Images[1].Image)
	assert.Equal(t, words, seen.Images[0].Entrypoint)
	back, err := Parse(text)
	require.NoError(t, err)
	assert.Equal(t, words, back.Entries()[0].Entrypoint)
}

func TestCommentsOfAFileStay(t *testing.T) {
	l, err := Parse([]byte(`# ours
images:
  # why this one
  - image: tool # by hand
    entrypoint: [/tool]
  # the database
  - image: db
    digest: ` + digestOf("a") + `
    entrypoint: [/db] # as of May
`))
	require.NoError(t, err)
	l.Set(entry("app", digestOf("b"), []string{"/app"}))
	l.Set(entry("db", digestOf("c"), []string{"/db"}, "new"))
	text, err := l.Encode()
	require.NoError(t, err)
	assert.Equal(t, `# ours
images:
  - image: "app"
    digest: `+digestOf("b")+`
    entrypoint: ["/app"]
    cmd: []
  # the database
  - image: "db"
    digest: `+digestOf("c")+`
    entrypoint: ["/db"]
    cmd: ["new"]
  # why this one
  - image: tool # by hand
    entrypoint: [/tool]
`, string(text))
}

func TestMistakesInALockFile(t *testing.T) {
	for text, want := range map[string]string{
		"":             "",
		"# nothing\n":  "",
		"images:\n":    "",
		"images: []\n": "",
		"images: [{image: a, entrypoint: [x]}]\n": "",
		"images: [{image: a, digest: null}]\n":    "",
		"- a\n":                                   "1: want a mapping with the key images",
		"{}\n":                                    "1: want a mapping with the key images",
		"image: []\n":                             `1: key "image" is unknown; there is only images`,
		"images: {}\n":                            "1: images must be a list",
		"images: []\nimages: []\n":                "images occurs twice",
		"images:\n- a\n":                          "2: an entry must be a mapping with image, entrypoint and cmd",
		"images:\n- entrypoint: [a]\n":            "2: an entry has no image",
		"images:\n- {image: a, entrypoint: a}\n":  "2: entrypoint must be a list of strings",
		"images:\n- {image: a, cmd: [1]}\n":       `2: cmd must be a list of strings: quote "1"`,
		"images:\n- {image: 5}\n":                 "2: image must be a string",
		"images:\n- {image: a, command: [b]}\n":   `2: key "command" is unknown; an entry has image, digest, entrypoint and cmd`,
		"images:\n- {image: a, digest: sha256:0}": `2: digest "sha256:0" is not sha256: and 64 hexadecimal digits`,
		"images:\n- image: a\n- image: a\n":       "3: image a is listed twice",
		"images:\n- {image: a, cmd: 5}\n- x\n":    "2: cmd must be a list of strings\n3: an entry must be a mapping with image, entrypoint and cmd",
		"images: [\n":                             " line ",
		"images: []\n---\nimages: []\n":           "has more than one document",
		"images:\n- &a {image: a}\n- *a\n":        "3: an entry must be a mapping",
	} {
		_, err := Parse([]byte(text))
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		assert.ErrorContains(t, err, want, text)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	l, err := Load(path)
	require.NoError(t, err, "no file is an empty lock")
	assert.Empty(t, l.Entries())
	require.NoError(t, os.WriteFile(path, []byte("images:\n- x\n- y\n"), 0o600))
	_, err = Load(path)
	assert.Equal(t, path+":2: an entry must be a mapping with image, entrypoint and cmd\n"+
		path+":3: an entry must be a mapping with image, entrypoint and cmd", err.Error())
	assert.Equal(t, fault.Usage, fault.Code(err))
	_, err = Load(t.TempDir())
	assert.Equal(t, fault.LocalIO, fault.Code(err))
}

func TestWriteReplacesWholeFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	l := &Lock{}
	l.Set(entry("app", digestOf("a"), []string{"/app"}))
	changed, err := l.Write(path)
	require.NoError(t, err)
	assert.True(t, changed)
	changed, err = l.Write(path)
	require.NoError(t, err)
	assert.False(t, changed)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 1, "and nothing beside it")
	_, err = l.Write(filepath.Join(dir, "none", FileName))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "images: []", "images:\n- {image: a, entrypoint: [b], cmd: [c]}", "# a\nimages:\n- image: a # b\n", "images: &a [*a]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		out, err := l.Encode()
		require.NoError(t, err)
		back, err := Parse(out)
		require.NoError(t, err, "%s", out)
		require.Len(t, back.Entries(), len(l.Entries()))
		again, err := back.Encode()
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
	})
}
