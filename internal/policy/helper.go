package policy

import (
	"regexp"
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
		if script.IsShell(started) {
			if at := scriptIn(words); at > 0 {
				started = words[at]
				line, _, _ = strings.Cut(started, "& wait")
			}
		}
	}
	long := started
	if runes := []rune(started); len(runes) > looked {
		long = string(runes[:looked]) + " &"
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

// looked is the number of characters of a script that the policies look at. In a longer one they
// find no helper, since the rest of it may do the work. charts/policy/templates/_pod.tpl has the
// same number; tests/policy holds both against each other.
const looked = 1000

// scriptIn returns where the script stands among the first words behind a shell, or the file that has
// it, and 0 where it is not there.
func scriptIn(words []string) int {
	for i := 1; i < min(len(words), 8); i++ {
		if !flag.MatchString(words[i]) && !option.MatchString(words[i-1]) {
			return i
		}
	}
	return 0
}

var (
	flag   = regexp.MustCompile(`^[-+]`)
	option = regexp.MustCompile(`^[-+][a-z]{0,6}o$`) // the next word is its value, such as pipefail
)

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
