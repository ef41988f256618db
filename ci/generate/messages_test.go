package main

import (
	"go/parser"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTextOf(t *testing.T) {
	constants := map[string]string{"advice": "try again"}
	for source, want := range map[string]string{
		`"plain"`:                              "plain",
		`"the port of " + p.name + " is off"`:  "the port of … is off",
		`a + b`:                                "…",
		`"so: " + advice`:                      "so: try again",
		`fmt.Sprintf("%s:%d: 100%% of %q", x)`: "…:…: 100% of …",
		"\"run `x`\"":                          "run 'x'",
		`shown(x)`:                             "…",
	} {
		expression, err := parser.ParseExpr(source)
		require.NoError(t, err)
		assert.Equal(t, want, textOf(expression, constants), source)
	}
}

func TestMerged(t *testing.T) {
	assert.Equal(t, []message{
		{text: "… a", hints: []string{"one", "two"}},
		{text: "b"},
	}, merged([]message{{text: "b", hints: []string{"…"}}, {text: "… a", hints: []string{"one"}}, {text: "… a ", hints: []string{"two", "one"}}}))
}

// The pages contain the texts that their readers paste.
func TestMessagePages(t *testing.T) {
	t.Chdir("../..")
	for want, page := range map[string]func() ([]byte, error){
		"### `… was pushed but does not come back: …`\n":                                            cliMessages,
		"### `… has its stop endpoint off: this pod will not end after the command`\n":              wrapperMessages,
		"### `container … has no command, and image … has neither ENTRYPOINT nor CMD; set command`": chartMessages,
	} {
		text, err := page()
		require.NoError(t, err)
		assert.Contains(t, string(text), want)
		for line := range strings.Lines(string(text)) {
			assert.Zero(t, strings.Count(line, "`")%2, line)
		}
	}
}
