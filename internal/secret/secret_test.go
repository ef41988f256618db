package secret

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A secret is masked in every form in which it may be written.
func TestMask(t *testing.T) {
	HideLogin("bob", `h"unter/2 &é`)
	HideHeader("Bearer t0ken.of.bob")
	HideHeader("Basic " + base64.StdEncoding.EncodeToString([]byte("eve:s3cret-of-eve")))
	HideUserInfo("https://amy:s3cret-of-amy@registry.example/p")
	HideUserInfo("tom:p/ss@word@registry.example/p/x:1")
	HideUserInfo("registry.example:5000/p/x:notasecret@sha256:" + strings.Repeat("a", 64))
	HideUserInfo("x:1")
	Hide("ab", "")
	for _, text := range []string{
		`h"unter/2 &é`, `h\"unter/2 \u0026é`, "h%22unter%2F2+%26%C3%A9", "h%22unter%2F2%20&%C3%A9",
		base64.StdEncoding.EncodeToString([]byte(`bob:h"unter/2 &é`)), base64.RawURLEncoding.EncodeToString([]byte(`h"unter/2 &é`)),
		"t0ken.of.bob", "s3cret-of-eve", base64.StdEncoding.EncodeToString([]byte("eve:s3cret-of-eve")), "s3cret-of-amy", "p/ss@word",
	} {
		assert.Equal(t, "said: ***.", Text("said: "+text+"."), text)
	}
	assert.Equal(t, "http://me:***@host/p?x", Text("http://me:anything@host/p?x"))
	assert.Equal(t, "cab notasecret", Text("cab notasecret"))
}

func TestWriter(t *testing.T) {
	Hide("s3cret-of-zoe")
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, text := range []string{"jobmesh: a\x1bb\n", "::error::x\n", "half ", "::no command\n", Clear + "12 %", "é"[:1], "é"[1:] + "!\n", "s3cret-of-zoe\n"} {
		n, err := fmt.Fprint(w, text)
		require.NoError(t, err)
		assert.Equal(t, len(text), n)
	}
	assert.Equal(t, "jobmesh: a\\x1bb\n\\x3a:error::x\nhalf ::no command\n"+Clear+"12 %é!\n***\n", out.String())
}
