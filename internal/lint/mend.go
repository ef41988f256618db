package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/patch"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// mending adds to the findings of a rule the changes that correct the manifest. Their paths
// start at the object.
func (r *reporter) mending(mends ...patch.Mend) *reporter {
	other := *r
	other.mends = mends
	return &other
}

// parent returns the path of the mapping that contains a place.
func parent(at place) manifest.Path { return at.path[:len(at.path)-1] }

// moved takes a label or annotation from where no mesh reads it to where one does, unless that
// key is set there already.
func (p *pod) moved(at place, key, value, field string) []patch.Mend {
	target := p.meta.get(field)
	if value == "" || target.get(key).node != nil || p.template.Node == nil {
		return nil
	}
	if p.template.Node.Kind != yamlMapping || target.node != nil && target.node.Kind != yamlMapping && target.node.Tag != "!!null" {
		return nil
	}
	return []patch.Mend{
		{Kind: patch.AddText, Path: target.path, Key: key, Text: value},
		{Kind: patch.Remove, Path: parent(at), Key: key},
	}
}

// plainWords are the words that people write for yes and no.
var plainWords = map[string]bool{
	"true": true, "yes": true, "y": true, "on": true, "1": true, "enabled": true, "enable": true,
	"false": false, "no": false, "n": false, "off": false, "0": false, "disabled": false, "disable": false,
}

// exactWord returns the word that a mesh reads and that the author must have meant, and ""
// where that is not clear.
func exactWord(w mesh.Word, value string) string {
	exact := w.Exact
	if exact == nil {
		exact = []string{"true", "false"}
	}
	lower := strings.ToLower(strings.TrimSpace(value))
	if slices.Contains(exact, lower) {
		return lower
	}
	yes, plain := plainWords[lower]
	if !plain {
		return ""
	}
	for _, word := range exact {
		if meaning, known := plainWords[word]; known && meaning == yes {
			return word
		}
	}
	return ""
}

// respelled replaces a value by the word of the mesh that the author meant.
func respelled(w mesh.Word, value string, at manifest.Path) []patch.Mend {
	word := exactWord(w, value)
	if word == "" {
		return nil
	}
	return []patch.Mend{{Kind: patch.Rewrite, Path: at, Key: w.Key, Text: word}}
}

// renamed gives an annotation of the pod another name.
func (p *pod) renamed(key, name string) patch.Mend {
	return patch.Mend{Kind: patch.Rename, Path: p.meta.path.Join("annotations"), Key: key, Text: name}
}

// unwrapped removes a wrapper from the front of a command, where the command field has all
// words of the wrapper and the wrapped command behind them. What jobmesh inject has added is
// left to inject --uninject.
func unwrapped(c container) []patch.Mend {
	w := c.reading.Wrapper
	command := c.place.get("command")
	count := len(c.argv) - len(w.Command)
	if command.node == nil || len(w.Command) == 0 || count < 1 || count >= len(manifest.Items(command.node)) || w.Name == wrapflags.JobmeshWrap {
		return nil
	}
	if !slices.Equal(c.argv[count:], w.Command) {
		return nil
	}
	return []patch.Mend{{Kind: patch.RemoveFirst, Path: command.path, Count: count}}
}
