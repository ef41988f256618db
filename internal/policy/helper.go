package policy

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// seen tells whether the policies take a container for a helper of the table that does not end by
// itself. They read no scripts as lint does: they look for the start of the program in the text.
func seen(c manifest.Container) bool {
	command, words := texts(c, "command"), slices.Concat(texts(c, "command"), texts(c, "args"))
	started, line := "", strings.Join(words, " ")
	if len(command) > 0 {
		started = words[0]
		if behind := slices.IndexFunc(words[1:min(len(words), 8)], isScript); script.IsShell(started) && behind >= 0 {
			started, line = words[1+behind], words[1+behind]
		}
	}
	long := started
	if runes := []rune(started); len(runes) > looked {
		long = string(runes[:looked]) + "&"
	}
	hidden := started == "" || strings.HasSuffix(started, ".sh")
	image, _, _ := strings.Cut(strings.ToLower(manifest.Text(manifest.Get(c.Node, "image"))), "@")
	runs := func(h sidecar.Helper) bool {
		return sidecar.Compiled(sidecar.ProgramPattern(h.Programs)).MatchString(long) ||
			hidden && sidecar.Compiled(sidecar.ImagePattern(h.Images)).MatchString(image)
	}
	told := func(words string) bool { return sidecar.Has(line, words) }
	return slices.ContainsFunc(sidecar.All(), func(h sidecar.Helper) bool { return runs(h) && h.IsAsked(line) }) &&
		!slices.ContainsFunc(sidecar.OnceForAll(), told) &&
		!slices.ContainsFunc(sidecar.All(), func(h sidecar.Helper) bool {
			return runs(h) && (slices.ContainsFunc(h.Once, told) || slices.ContainsFunc(h.OnceVariables, func(name string) bool { return isOn(c, name) }))
		})
}

// looked is the number of characters of a script that the policies look at.
const looked = 1000

// isScript tells whether a word behind a shell is its script, or the file that has it, and no flag.
func isScript(word string) bool {
	return !strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "+")
}

// isOn tells whether a variable of a container has one of the words for yes.
func isOn(c manifest.Container, name string) bool {
	return slices.ContainsFunc(manifest.Items(manifest.Get(c.Node, "env")), func(e *node) bool {
		yes, _ := mesh.Truthy.Bool(manifest.Text(manifest.Get(e, "value")))
		return yes && manifest.Text(manifest.Get(e, "name")) == name
	})
}

func texts(c manifest.Container, field string) []string {
	var all []string
	for _, item := range manifest.Items(manifest.Get(c.Node, field)) {
		all = append(all, manifest.Text(item))
	}
	return all
}
