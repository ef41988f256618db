package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
)

// kindOutputs are the outputs that are made from the table of kinds. They come before the
// chart's page, which is made from the chart's files.
var kindOutputs = []output{
	whole(chart+"/templates/_kinds.tpl", "internal/kind", kindTemplates),
	jsonValue(chart+"/values.schema.json", []string{"properties", "kinds", "items", "enum"}, func() (any, error) {
		return kind.Names(kind.Named), nil
	}),
	region(chart+"/values.yaml", "kinds", "internal/kind", func() ([]byte, error) {
		return []byte("# " + listed(quoted(kind.Names(kind.Named)), "and") + "."), nil
	}),
	whole("docs/kinds.md", "internal/kind", kindPage),
}

// kindTemplates returns what the chart's templates read of the kinds.
func kindTemplates() ([]byte, error) {
	type row struct {
		Path        []string          `json:"path"`
		Inject      string            `json:"inject"`
		Form        string            `json:"form"`
		Optional    bool              `json:"optional"`
		Restart     string            `json:"restart,omitempty"`
		RestartIn   map[string]string `json:"restartIn,omitempty"`
		Owner       string            `json:"owner,omitempty"`
		Fills       string            `json:"fills,omitempty"`
		KillCommand string            `json:"killCommand,omitempty"`
	}
	treatments := map[kind.Treatment]string{kind.Always: "always", kind.Named: "named", kind.Hook: "hook"}
	forms := map[kind.Form]string{kind.PodTemplate: "pod", kind.Argo: "argo"}
	var lines []string
	for _, k := range kind.Table {
		var rows []string
		for _, t := range k.Templates {
			if t.Inject != kind.Never {
				rows = append(rows, inJSON(row{
					append([]string{}, t.Path...), treatments[t.Inject], forms[t.Form], t.Optional,
					t.Restart.Default, t.Restart.DefaultIn, t.Restart.Owner, t.Fills, t.KillCommand,
				}))
			}
		}
		if rows != nil {
			lines = append(lines, fmt.Sprintf("  %q: [%s]", path.Join(".", k.Group)+"/"+k.Kind, strings.Join(rows, ", ")))
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{{/*
The pod templates of each kind that is injected, by API group and kind. JSON, because
fromJson is ten times faster than fromYaml.

  path      the keys that lead to it from the object. [] stands for every item of a
            list, or every value of a map. A Pod is its own template.
  inject    always; named: where the value kinds names the kind; hook: where the object
            is a Helm hook
  form      pod: it has metadata and spec; argo: it has containers or a script, and the
            volumes of a pod, but no pod spec
  optional  objects of the kind may be without it
  restart   the restartPolicy where nothing is said; restartIn, that of a version
  owner     the key beside the template whose value takes the place of restartPolicy
  fills     who writes a command into a container that has none
  killCommand  with the name of a container behind it, the annotation that says how the
            kind's controller ends that container
*/}}
{{- define "jobmesh._kinds" -}}
{
%s
}
{{- end -}}

{{/* A document of one of these kinds, but those to be named, has one of these words. */}}
{{- define "jobmesh._kinds.words" -}}
%s
{{- end -}}

{{/* What the value kinds holds: a pattern, and the words for it. */}}
{{- define "jobmesh._kinds.form" -}}
[%s, %s]
{{- end -}}
`, strings.Join(lines, ",\n"), strings.Join(shortest(append(kind.Names(kind.Always, kind.Hook), "List")), "|"),
		inJSON("^("+strings.Join(kind.Names(kind.Named), "|")+")$"), inJSON(listed(kind.Names(kind.Named), "or")))
	return b.Bytes(), nil
}

// shortest returns the names that do not contain another one of them: a text that contains any
// of the names contains one of these.
func shortest(names []string) []string {
	var kept []string
	for _, name := range names {
		holds := func(other string) bool { return other != name && strings.Contains(name, other) }
		if !slices.ContainsFunc(names, holds) && !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return kept
}

// kindPage returns the table for readers.
func kindPage() ([]byte, error) {
	injected := map[kind.Treatment]string{kind.Always: "yes", kind.Named: "where `kinds` names it"}
	ended := map[kind.Ender]string{
		kind.Nobody: "by nobody", kind.Controller: "by the controller of the kind", kind.Kubelet: "by the kubelet, when the pod is deleted",
	}
	var b bytes.Buffer
	b.WriteString("# Kinds\n\n" +
		"The kinds that jobmesh knows, and where their pod templates stand; `[]` stands for every\n" +
		"item of a list, or every value of a mapping. The objects in a List are treated as if they\n" +
		"stood by themselves. Objects that are neither judged nor injected are named on stderr, also\n" +
		"those of an unlisted kind with a pod template; `jobmesh inject --strict` then exits with 1.\n\n" +
		"Containers beside the work are those that are not native sidecars: a classic proxy, or a\n" +
		"helper. The kubelet ends native sidecars, whatever the kind.\n\n" +
		"| kind | pod template | judged by lint | injected | `restartPolicy` | containers beside the work are ended |\n" +
		"| --- | --- | --- | --- | --- | --- |\n")
	for _, k := range kind.Table {
		name := k.Kind
		if k.Group != "" {
			name += " (" + k.Group + ")"
		}
		for _, t := range k.Templates {
			treated := injected[t.Inject]
			switch t.Inject {
			case kind.Hook:
				treated = "Helm hooks and tests; by `jobmesh inject` also one with `restartPolicy` Never or OnFailure"
			case kind.Never:
				treated = "no: " + t.Why
			}
			if t.Fills != "" {
				treated += ", where the container has a command; else " + t.Fills + " writes one"
			}
			judged := map[kind.Pods]string{kind.End: "yes", kind.Serve: "no", kind.Unjudged: "no, and a message says so", kind.ByPolicy: "where `restartPolicy` is Never or OnFailure"}[t.Pods]
			sidecars := ended[t.Sidecars]
			if t.Pods == kind.Unjudged {
				sidecars = ""
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, place(t), judged, treated, restarts(t.Restart), sidecars)
		}
	}
	b.WriteString("\nThese facts come from:\n\n")
	var sources []string
	for _, k := range kind.Table {
		if !slices.Contains(sources, k.Source) {
			sources = append(sources, k.Source)
			b.WriteString("- " + k.Source + "\n")
		}
	}
	return b.Bytes(), nil
}

func place(t kind.Template) string {
	if len(t.Path) == 0 {
		return "the object itself"
	}
	where := "`" + strings.ReplaceAll(strings.Join(t.Path, "."), "."+kind.Every, kind.Every) + "`"
	if t.Form == kind.Argo {
		return where + " with a `container`, `script`, `containerSet`, `data` or `resource`"
	}
	return where
}

func restarts(r kind.Restart) string {
	if r.Policies == nil && r.Default == "" {
		return ""
	}
	if r.Policies == nil {
		return "always " + r.Default
	}
	text := listed(r.Policies, "or")
	if r.Owner != "" {
		text += ", said by `" + r.Owner + "` beside the template"
	}
	if r.Default != "" && len(r.Policies) > 1 {
		text += "; " + r.Default + " where the author says nothing"
	}
	for _, version := range slices.Sorted(maps.Keys(r.DefaultIn)) {
		text += ", " + r.DefaultIn[version] + " in " + version
	}
	return text
}

// listed joins words as a sentence does: a, b and c.
func listed(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

func quoted(words []string) []string {
	var all []string
	for _, word := range words {
		all = append(all, "`"+word+"`")
	}
	return all
}

// inJSON returns a value as JSON on one line.
func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // cannot happen: the value is a table of strings
	}
	return string(spaced(text))
}
