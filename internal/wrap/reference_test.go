package wrap

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every event that is logged is in the reference, and the other way round.
func TestEventsAreAllExplained(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), ".", func(f fs.FileInfo) bool {
		return !strings.HasSuffix(f.Name(), "_test.go")
	}, 0)
	require.NoError(t, err)
	logged := map[string]bool{}
	ast.Inspect(packages["wrap"], func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "event" {
			return true
		}
		for _, element := range literal.Elts {
			pair, ok := element.(*ast.KeyValueExpr)
			if !ok || pair.Key.(*ast.Ident).Name != "name" {
				continue
			}
			text, err := strconv.Unquote(pair.Value.(*ast.BasicLit).Value)
			require.NoError(t, err)
			logged[text] = true
		}
		return true
	})
	explained := map[string]bool{}
	for _, e := range Events {
		explained[e.Name] = true
	}
	assert.Equal(t, explained, logged)
}
