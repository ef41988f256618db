package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
)

func TestFold(t *testing.T) {
	assert.Equal(t, "one two\nthree", fold("one two three", 8))
	assert.Equal(t, "a\nwordthatislong\nb", fold("a wordthatislong b", 5))
	assert.Equal(t, "  two  spaces stay", fold("  two  spaces stay", 80))
	assert.Equal(t, "first one\nis folded\n\n  kept as it is, since it is indented\n\nshort", foldText("first\none is folded\n\n  kept as it is, since it is indented\n\nshort", 10))
}

// The help of every verb fits a narrow terminal, except examples, which users copy, and words
// that are longer than the terminal is wide.
func TestHelpFits(t *testing.T) {
	for _, width := range []int{60, 80, 100} {
		root := New("1.2.3", Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Columns: width})
		var check func(cmd *cobra.Command)
		check = func(cmd *cobra.Command) {
			example := strings.Split(cmd.Example, "\n")
			help := cmd.Long + "\n" + cmd.UsageString()
			for _, line := range strings.Split(help, "\n") {
				copied := false
				for _, e := range example {
					copied = copied || strings.TrimSpace(e) == strings.TrimSpace(line)
				}
				if !copied && len(strings.Fields(line)) > 3 {
					assert.LessOrEqual(t, utf8.RuneCountInString(line), width, "%s: %s", cmd.CommandPath(), line)
				}
			}
			for _, child := range cmd.Commands() {
				if child.Name() != "completion" && child.Name() != "help" {
					check(child)
				}
			}
		}
		check(root)
	}
}
