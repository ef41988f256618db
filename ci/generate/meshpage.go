package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// meshPage returns the reference of what jobmesh knows about each mesh.
func meshPage() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# What jobmesh knows of each mesh\n\n" +
		"The wrapper, `jobmesh lint`, `jobmesh inject` and the library chart read one table. " +
		"What the wrapper asks each proxy: [wrapper.md](wrapper.md#meshes).\n")

	table(&b, "How a pod gets the proxy, and how it stays out", "mesh | read, the first one decides | asks for it | keeps it out | else | with `hostNetwork`")
	for _, m := range mesh.All() {
		in := m.Inject
		if in.Key == "" {
			continue
		}
		otherwise, host := "the namespace's default", "no"
		if in.WhenAsked {
			otherwise = "no"
		}
		if in.HostNetwork {
			host = "yes"
		}
		row(&b, m.Name, "`"+in.Key+"`: "+strings.Join(levels(in.Levels), ", "), yesWords(in), strings.Join(quoted(in.No), ", "), otherwise, host)
	}

	table(&b, "When the proxy is a native sidecar", "mesh | annotation, and since when it is read | the installation's setting, since | native by default since")
	for _, m := range mesh.All() {
		since := from(m.Native.Default, m.Native.DefaultSource)
		setting := from(m.Native.Setting, m.Native.SettingSource)
		if kubelet := m.Native.DefaultKubelet; kubelet.Known() {
			since += ", where every kubelet is " + kubelet.String() + " or newer"
		}
		for i, w := range m.Native.Words {
			if i > 0 {
				since, setting = "", ""
			}
			row(&b, m.Name, code(w.Name)+": "+from(w.Since, w.Source), setting, since)
		}
		if len(m.Native.Words) == 0 && since != "" {
			row(&b, m.Name, "", setting, since)
		}
	}

	table(&b, "Installations that a provider manages", "`lint --mesh` | is | installs | native by default since")
	for _, m := range mesh.All() {
		for _, p := range m.Platforms {
			since := "never"
			if p.Default.Known() {
				since = m.Title + " " + p.Default.String() + ", on Kubernetes " + p.Kubernetes.String()
			}
			row(&b, code(m.Name+"@"+p.Name), p.Title+revisions(m.Name, p), p.Version.String(), since+" ([source]("+p.Source+"))")
		}
	}

	table(&b, "What the chart's modes write on a pod", "mesh | mode `wrap` | mode `native` | mode `optOut` | `skipOutboundPorts`")
	for _, m := range mesh.All() {
		r := chartRow(m)
		if r.Wrap == nil && r.Native == nil && r.OptOut == nil && r.SkipOutboundPorts == "" {
			continue
		}
		row(&b, m.Name, r.Wrap.cell(), r.Native.cell(), r.OptOut.cell(), code(r.SkipOutboundPorts))
	}

	table(&b, "By what a proxy is known", "mesh | container | process | rule that says it outlives the Job")
	for _, m := range mesh.All() {
		rule := m.Rule
		if rule != "" {
			rule = "[" + rule + "](rules/" + rule + ".md)"
		}
		row(&b, m.Name, code(m.Container), strings.Join(quoted(m.Processes), ", "), rule)
	}

	table(&b, "Last compared with", "mesh | release | where")
	for _, m := range mesh.All() {
		var links []string
		for _, source := range m.Sources {
			links = append(links, "<"+source+">")
		}
		row(&b, m.Name, m.Checked, strings.Join(links, " "))
	}
	return []byte(b.String()), nil
}

// from returns a release with a link to its source.
func from(v mesh.Version, source string) string {
	if !v.Known() {
		return ""
	}
	return "[" + v.String() + "](" + source + ")"
}

// revisions says how the name of a platform can contain a release.
func revisions(name string, p mesh.Platform) string {
	if !p.Revisions {
		return ""
	}
	provider, state, _ := strings.Cut(p.Name, "-")
	return "; with its revision, as in " + code(name+"@"+provider+"-asm-1-28-"+state)
}

// table starts a section that consists of a table.
func table(b *strings.Builder, title, head string) {
	fmt.Fprintf(b, "\n## %s\n\n| %s |\n|%s\n", title, head, strings.Repeat(" --- |", 1+strings.Count(head, "|")))
}

// row prints one row of a table.
func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// yesWords returns the values that ask for the proxy.
func yesWords(in mesh.Injection) string {
	if len(in.Yes) > 0 {
		return strings.Join(quoted(in.Yes), ", ")
	}
	return code("true")
}

func levels(all []mesh.Level) []string {
	names := map[mesh.Level]string{
		mesh.PodLabel: "pod label", mesh.PodAnnotation: "pod annotation",
		mesh.NamespaceLabel: "namespace label", mesh.NamespaceAnnotation: "namespace annotation",
	}
	var words []string
	for _, level := range all {
		words = append(words, names[level])
	}
	return words
}

// cell lists the entries that a mode writes.
func (m *meshMetadata) cell() string {
	if m == nil {
		return ""
	}
	var entries []string
	for field, of := range map[string]map[string]string{"annotation": m.Annotations, "label": m.Labels} {
		for key, value := range of {
			entries = append(entries, fmt.Sprintf("%s `%s: %s`", field, key, yamlString(value)))
		}
	}
	slices.Sort(entries)
	return strings.Join(entries, ", ")
}

// yamlString returns a string as YAML writes it.
func yamlString(value string) string {
	if value == "true" || value == "false" || value == "0" {
		return `"` + value + `"`
	}
	return value
}
