package wrap

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every event that is logged is in the reference, and the other way round.
func TestEventsAreAllExplained(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	logged := map[string]bool{}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if name, ok := eventName(n); ok {
				logged[name] = true
			}
			return true
		})
	}
	explained := map[string]bool{}
	for _, e := range Events {
		explained[e.Name] = true
	}
	assert.Equal(t, explained, logged)
}

// eventName returns the name in a literal of type event.
func eventName(n ast.Node) (string, bool) {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return "", false
	}
	if kind, ok := literal.Type.(*ast.Ident); !ok || kind.Name != "event" {
		return "", false
	}
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "name" {
			name, err := strconv.Unquote(pair.Value.(*ast.BasicLit).Value)
			return name, err == nil
		}
	}
	return "", false
}
