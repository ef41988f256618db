package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// allWords are the important labels and annotations of all meshes, in the order of the table. A
// key that is similar to one of them, and that no mesh reads, is taken for a spelling mistake.
var allWords = func() []mesh.Word {
	var words []mesh.Word
	for _, m := range mesh.All() {
		words = append(words, m.AllWords()...)
	}
	return words
}()

// exactWords returns the values that a mesh reads for a label or annotation.
func exactWords(w mesh.Word) string {
	words := w.Exact
	if words == nil {
		words = []string{"true", "false"}
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + w + `"`
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

func wordOf(key string) (mesh.Word, bool) {
	i := slices.IndexFunc(allWords, func(w mesh.Word) bool { return w.Key == key })
	if i < 0 {
		return mesh.Word{}, false
	}
	return allWords[i], true
}

// ofMesh tells whether a mesh reads a key on a pod.
func ofMesh(key string) bool {
	if _, known := wordOf(key); known {
		return key != mesh.IstioDataplane // this key is for namespaces, too
	}
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool {
		return slices.ContainsFunc(m.Prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
}

// meant returns the key that a misspelt one was meant to be.
func meant(key string) (string, bool) {
	if _, known := wordOf(key); known {
		return "", false
	}
	for _, w := range allWords {
		if slices.Contains(w.Alike, key) {
			return w.Key, true
		}
	}
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return "", false
	}
	near := false
	for _, m := range mesh.All() {
		if slices.Contains(m.Nearby, key) {
			return "", false
		}
		near = near || m.Domain != "" && strings.Contains(domain, m.Domain)
	}
	if !near {
		return "", false
	}
	for _, w := range allWords {
		if nearest.Distance(key, w.Key) <= 2 {
			return w.Key, true
		}
	}
	return "", false
}
