package nearest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGuess(t *testing.T) {
	verbs := []string{"build", "inject", "lint", "verify", "version"}
	for word, want := range map[string]string{
		"biuld": "build", "lnt": "lint", "versoin": "version", "verfiy": "verify", "injcet": "inject",
		"delete": "", "": "", "x": "", "JM999": "", strings.Repeat("build", 1000): "",
	} {
		got, ok := Guess(word, verbs)
		assert.Equal(t, want != "", ok, word)
		if ok {
			assert.Equal(t, want, got)
		}
	}
	_, ok := Guess("build", nil)
	assert.False(t, ok)
}

func TestWordIsTheFirstOfTheNearest(t *testing.T) {
	assert.Equal(t, "linux/amd64", Word("linux/amd46", []string{"linux/386", "linux/amd64", "linux/arm64"}))
	assert.Equal(t, "ab", Word("aa", []string{"ab", "ac"}))
}
