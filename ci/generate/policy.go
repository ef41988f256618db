package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// policyOutputs are the outputs for the chart jobmesh-policy: the tables in CEL.
var policyOutputs = []output{
	whole("charts/policy/templates/_tables.tpl", "internal/mesh, internal/sidecar, internal/kind, internal/script and charts/policy/values.yaml", policyTables),
}

const policyTablesText = `{{/*
What the policies know, in CEL.

  proxies     names of the containers of meshes' proxies
  inits       names of the init containers that redirect the traffic to them
  readyAfter  of the proxies, those whose readiness waits for the application where the
              pod has the annotation
  oneByName   names of helpers that injectors put into pods under this name
  shell       a regular expression for a shell whose scripts are looked into
  suspect     a regular expression for an image or a command line which names a helper, to
              spare most containers the next one
  helper      whether a container, told by the strings of s, is a helper that runs until it
              is told to end
  onceVariables  variables that say of a helper that it ends by itself
  meshOut     whether labels and annotations of a pod keep it out of a mesh, and ask for no
              other one
  ends        restart policies of pods that end
  defaults    the values of the chart, as JSON
  executors   owners whose executor ends the containers beside the work, and killCommands,
              the annotations with which it ends proxies that have no shell
*/}}
`

// policyTables returns the tables as the templates of charts/policy read them.
func policyTables() ([]byte, error) {
	var proxies, inits, byName []string
	readyAfter, kill := map[string]string{}, map[string]string{}
	for _, m := range mesh.All() {
		switch {
		case m.Container == "":
		case m.Annotation == "":
			byName = append(byName, m.Container)
		default:
			proxies = append(proxies, m.Container)
		}
		inits = append(inits, m.Inits...)
		if m.ReadyAfter != "" {
			readyAfter[m.Container] = m.ReadyAfter
		}
		if m.KillCommand != "" {
			for _, annotation := range killAnnotations() {
				kill[annotation+m.Container] = m.KillCommand
			}
		}
	}
	var onceVariables []string
	for _, h := range sidecar.All() {
		onceVariables = append(onceVariables, h.OnceVariables...)
	}
	values, err := os.ReadFile("charts/policy/values.yaml")
	if err != nil {
		return nil, err
	}
	defaults, err := yaml.YAMLToJSON(values)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(policyTablesText)
	for _, d := range []struct{ name, text string }{
		{"proxies", celList(proxies)},
		{"inits", celList(inits)},
		{"readyAfter", celMap(readyAfter)},
		{"oneByName", celList(byName)},
		{"shell", celRaw(`(^|/)(` + strings.Join(script.Shells(), "|") + `)$`)},
		{"suspect", celRaw(suspectPattern(sidecar.All()))},
		{"helper", celHelper(sidecar.All())},
		{"onceVariables", celList(onceVariables)},
		{"meshOut", celMeshOut(mesh.All())},
		{"ends", celList(kind.Of("batch", "Job").Templates[0].Restart.Policies)},
		{"defaults", string(defaults)},
		{"executors", celList(executors())},
		{"killCommands", celMap(kill)},
	} {
		fmt.Fprintf(&b, "{{- define \"jobmesh-policy._tables.%s\" -}}\n%s\n{{- end -}}\n\n", d.name, d.text)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// executors returns the owners, as group and kind, whose own container ends the others.
func executors() []string {
	var all []string
	for _, k := range kind.Table {
		if slices.ContainsFunc(k.Templates, func(t kind.Template) bool { return t.Form == kind.Argo }) {
			all = append(all, k.Group+"/"+k.Kind)
		}
	}
	return all
}

// killAnnotations returns the prefixes of the annotations that tell an executor how to end a
// container.
func killAnnotations() []string {
	var all []string
	for _, k := range kind.Table {
		for _, t := range k.Templates {
			if t.KillCommand != "" && !slices.Contains(all, t.KillCommand) {
				all = append(all, t.KillCommand)
			}
		}
	}
	return all
}

// celHelper returns an expression that is true for a container with a helper that nobody ends.
// Its program, or its image where the program is not known, is one of the table, and it is not
// told to end by itself. _sidecars.tpl of the library chart checks the same. Here all helpers
// without further conditions share one regular expression, because constant ones are compiled
// once.
func celHelper(rows []sidecar.Helper) string {
	var programs, images, alternatives, exceptions []string
	for i := range rows {
		h := &rows[i]
		program, image := sidecar.ProgramPattern(h.Programs), sidecar.ImagePattern(h.Images)
		is := celRuns(program, image)
		if h.Subcommand == "" {
			programs, images = append(programs, h.Programs...), append(images, h.Images...)
		} else {
			alternatives = append(alternatives, fmt.Sprintf("(%s && s.line.matches(%s))", is, celRaw(h.SubcommandPattern())))
		}
		var once []string
		for _, words := range h.Once {
			once = append(once, fmt.Sprintf("s.line.contains(%s)", celString(" "+words+" ")))
		}
		for _, variable := range h.OnceVariables {
			once = append(once, fmt.Sprintf("s.once.contains(%s)", celString(" "+variable+" ")))
		}
		if len(once) > 0 {
			exceptions = append(exceptions, fmt.Sprintf("!(%s && (%s))", is, strings.Join(once, " || ")))
		}
	}
	alternatives = slices.Insert(alternatives, 0, celRuns(sidecar.ProgramPattern(programs), sidecar.ImagePattern(images)))
	conditions := slices.Concat(
		[]string{"(" + strings.Join(alternatives, " ||\n  ") + ")", `!s.line.contains(" --version ")`, `!s.line.contains(" --help ")`}, exceptions)
	return strings.Join(conditions, " &&\n")
}

// suspectPattern returns a pattern that matches whatever sidecar.ProgramPattern and sidecar.ImagePattern match
// for any helper, and more.
func suspectPattern(rows []sidecar.Helper) string {
	var names []string
	for i := range rows {
		names = append(names, rows[i].Programs...)
		for _, image := range rows[i].Images {
			end := strings.IndexAny(image+"*", ":*")
			names = append(names, image[:end])
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var shortest []string
	for _, name := range names {
		if !slices.ContainsFunc(names, func(other string) bool { return other != name && strings.Contains(name, other) }) {
			shortest = append(shortest, regexp.QuoteMeta(name))
		}
	}
	return strings.Join(shortest, "|")
}

// celRuns returns an expression that is true where a program is started, or may be in the
// image.
func celRuns(program, image string) string {
	return fmt.Sprintf("(s.started.matches(%s) || s.hidden != \"\" && s.image.matches(%s))", celRaw(program), celRaw(image))
}

// celMeshOut returns an expression that is true where a pod's own labels and annotations keep
// it out of a mesh, and put it into no other one. The first place that has the mesh's key
// decides.
func celMeshOut(rows []mesh.Mesh) string {
	var outs, ins []string
	for _, m := range rows {
		if m.Annotation == "" {
			continue
		}
		// The places are taken from the last to the first, so that the first one decides.
		out, in := "false", "false"
		for _, level := range slices.Backward(m.Inject.Levels) {
			where := map[mesh.Level]string{mesh.PodLabel: "variables.labels", mesh.PodAnnotation: "variables.annotations"}[level]
			if where == "" {
				continue
			}
			key := celString(m.Inject.Key)
			said := fmt.Sprintf("%s in %s ? ", key, where)
			no := fmt.Sprintf("%s[%s] in %s", where, key, celList(m.Inject.No))
			out = fmt.Sprintf("(%s%s : %s)", said, no, out)
			in = fmt.Sprintf("(%s!(%s) : %s)", said, no, in)
		}
		outs, ins = append(outs, out), append(ins, in)
	}
	return "(" + strings.Join(outs, " ||\n  ") + ") &&\n!(" + strings.Join(ins, " ||\n  ") + ")"
}

func celList(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = celString(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func celMap(m map[string]string) string {
	var items []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		items = append(items, celString(key)+": "+celString(m[key]))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// celString returns a string literal of CEL; every JSON string is one.
func celString(s string) string {
	b, _ := json.Marshal(s) // a string can always be encoded
	return string(b)
}

// celRaw returns a regular expression as a raw string, in which nothing is escaped.
func celRaw(pattern string) string { return `r"` + pattern + `"` }
