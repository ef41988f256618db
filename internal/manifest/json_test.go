package manifest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// bare is a node without its place.
func bare(n *yaml.Node) *yaml.Node {
	short := &yaml.Node{Kind: n.Kind, Tag: n.ShortTag(), Value: n.Value, Style: n.Style}
	for _, child := range n.Content {
		short.Content = append(short.Content, bare(child))
	}
	return short
}

// An object of JSON is the same whether it is read as JSON or as the YAML that it is too.
func TestFromJSON(t *testing.T) {
	for _, text := range []string{
		`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"b","generateName":"c-"}}`,
		`{"kind":"X","n":[1,-2,0,1.5,1e3,12345678901234567890],"b":[true,false,null],"s":["","1","true","null","~","on","0x1f","2001-01-01","\"\\\/\b\f\n\r\t","ä€😀","<a&b>"," a "],"m":{},"l":[],"":1}`,
		`{"kind":"X","metadata":{"labels":{"a.b/c":"d"}},"spec":{"template":{"spec":{"containers":[{"name":"a","command":["sh","-c","a; b # c"]}]}}}}`,
	} {
		got, err := manifest.FromJSON("x", []byte(text))
		require.NoError(t, err)
		var want manifest.Object
		require.NoError(t, manifest.Scan("x", bytes.NewReader([]byte(text)), func(d *manifest.Document) error {
			require.NoError(t, d.Err)
			want = d.Objects()[0]
			return nil
		}))
		require.Equal(t, bare(want.Node), bare(got.Node))
		want.Node, want.Document, got.Node, got.Document = nil, nil, nil, nil
		require.Equal(t, want, got)
	}
}

func TestFromJSONMistakes(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `"a"`, `{"a":}`, `{"kind":"List","apiVersion":"v1","items":[{"kind":"A"},{"kind":"B"}]}`, strings.Repeat(`{"a":`, 600) + `1` + strings.Repeat(`}`, 600)} {
		_, err := manifest.FromJSON("x", []byte(text))
		require.Error(t, err, text)
	}
}
