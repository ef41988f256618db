package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// helperOutputs are the outputs that are made from the table of helpers.
var helperOutputs = []output{
	whole("docs/helpers.md", "internal/sidecar and internal/mesh", helperPage),
	whole(chart+"/templates/_helpers_table.tpl", "internal/sidecar and internal/mesh", helperTemplate),
	region("charts/alerts/values.yaml", "names", "internal/sidecar and internal/mesh", helperNames),
}

// helperNames returns the names of the containers of proxies and helpers, as far as the tables
// know them: those that injectors give them, and those of the programs.
func helperNames() ([]byte, error) {
	var names []string
	for _, m := range mesh.All() {
		if m.Container != "" {
			names = append(names, m.Container)
		}
	}
	for _, h := range sidecar.All() {
		names = append(names, h.Name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("names:\n")
	for _, name := range slices.Compact(names) {
		b.WriteString("  - " + name + "\n")
	}
	return []byte(b.String()), nil
}

// helperPage returns the table for readers.
func helperPage() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`# Helpers

Programs that people put beside the work of a pod, and that run until somebody ends them: a
Job with one of them in ` + "`containers`" + ` stays active when its work has ended ([JM106](rules/JM106.md)).
As a native sidecar each of them is ended by the kubelet.

A helper is known by the program that the container's command starts. Where the manifest has
no command, or one that is a script in a file of the image, it is known by the image: by the
end of its repository, whatever the registry. With the arguments or variables of the third
column, as with ` + "`--version` and `--help`" + `, it does something once and ends, so that nobody has to
end it.

The exit code decides over the pod: a helper in ` + "`containers`" + ` that ends with another one than 0
makes the pod fail, although the work succeeded. Where a cell is empty nothing is known.

| helper | known by | ends by itself with | is ended by, and its exit code | ready | note |
| --- | --- | --- | --- | --- | --- |
`)
	for _, h := range sidecar.All() {
		program := strings.Join(quoted(h.Programs), ", ")
		if h.Subcommand != "" {
			program += " with `" + h.Subcommand + "`"
		}
		var notes []string
		for _, f := range h.Flags {
			flag := "`" + f.Name + "`"
			if variable := h.Variable(f.Name); variable != "" {
				flag += " (`" + variable + "`)"
			}
			notes = append(notes, flag+" "+f.What+".")
		}
		if h.Note != "" {
			notes = append(notes, h.Note)
		}
		fmt.Fprintf(&b, "| %s | program %s; image %s | %s | %s | %s | %s |\n", cell(h.Title), program, strings.Join(quoted(h.Images), ", "),
			strings.Join(quoted(append(append([]string{}, h.Once...), h.OnceVariables...)), ", "), ways(h), ready(h), cell(strings.Join(notes, " ")))
	}
	b.WriteString("\nThese are the releases with which the rows were last compared, and the sources. Measured means\nthat the program was run and told to end, and that its exit code was read. Of a helper that is\nnot listed here, only the name is known.\n\n| helper | release or commit | source |\n| --- | --- | --- |\n")
	for _, h := range sidecar.All() {
		if h.Checked != "" {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(h.Title), h.Checked, strings.Join(h.Sources, ", "))
		}
	}
	return b.Bytes(), nil
}

// ways returns the ways in which a helper is ended, the best one first.
func ways(h sidecar.Helper) string {
	var all []string
	for _, e := range h.Ends {
		way := "`" + e.Signal + h.StopRequest(e) + "`"
		if e.Needs != "" {
			way += " with " + e.Needs
		}
		code := strconv.Itoa(e.Code)
		if e.Code == sidecar.Unknown {
			code = "not known"
		}
		all = append(all, way+": "+code)
	}
	if h.EndedBy != "" {
		all = append(all, h.EndedBy)
	}
	return strings.Join(all, "; ")
}

// ready returns the request that says that a helper is ready.
func ready(h sidecar.Helper) string {
	urls, needs := h.ReadyURLs(), h.ReadyNeeds
	if len(urls) == 0 {
		return ""
	}
	text := "GET " + strings.Join(quoted(urls), " or ")
	if needs != "" {
		text += " with " + needs
	}
	return text
}
