package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// meshOutputs returns what is derived from the table of meshes, except the wrapper's page.
func meshOutputs() []output {
	const source = "internal/mesh"
	return []output{
		whole(chart+"/templates/_meshes.tpl", source, meshTemplate),
		region(chart+"/values.yaml", "mesh", source, meshComment),
		jsonValue(chart+"/values.schema.json", []string{"properties", "mesh", "anyOf"}, meshValues),
		whole("docs/meshes.md", source, meshPage),
		meshWords("README.md", `(?m)^(\| meshes \| those that have it.* \| )[^|]*( \|)$`, func() string { return titles(mesh.All(), ", ") }),
		meshWords("README.md", `(?m)^(\| meshes \| ).*(; classic and native)`, func() string {
			return titles(injected(), ", ") + " by themselves; " + titles(byName(), " and ") + " by name"
		}),
		meshWords("docs/support.md", `(?m)^(\| )[^|]*( \| the releases that their projects maintain)`, func() string { return titles(injected(), ", ") }),
		meshWords("docs/add-it-to-your-chart.md", `(your chart the Job completes, in )[^.;]*(, and starts at once)`, func() string { return titles(injected(), " and ") }),
	}
}

// meshWords writes words about the meshes into a hand-written sentence. The groups of the
// pattern match the text in front of the words, and the text behind them.
func meshWords(path, pattern string, words func() string) output {
	sentence := regexp.MustCompile(pattern)
	return output{path, func(old []byte) ([]byte, error) {
		if n := len(sentence.FindAll(old, -1)); n != 1 {
			return nil, fmt.Errorf("has %d places like %s, not one", n, pattern)
		}
		return sentence.ReplaceAll(old, []byte("${1}"+words()+"${2}")), nil
	}}
}

// injected returns the meshes that put their proxies into pods; byName returns the others,
// which a user has to name.
func injected() []mesh.Mesh {
	return slices.DeleteFunc(slices.Clone(mesh.All()), func(m mesh.Mesh) bool { return m.Annotation == "" })
}

func byName() []mesh.Mesh {
	return slices.DeleteFunc(slices.Clone(mesh.All()), func(m mesh.Mesh) bool { return m.Annotation != "" })
}

// titles lists the titles of meshes, with the word last in front of the last one.
func titles(meshes []mesh.Mesh, last string) string {
	var all []string
	for _, m := range meshes {
		all = append(all, m.Title)
	}
	end := len(all) - 1
	return strings.Join(all[:end], ", ") + last + all[end]
}

// meshRow is a mesh as the templates read it.
type meshRow struct {
	Env               []meshVariable `json:"env"`
	Wrap              *meshMetadata  `json:"wrap,omitempty"`
	Native            *meshMetadata  `json:"native,omitempty"`
	NativeSince       string         `json:"nativeSince,omitempty"`
	NativeDefault     string         `json:"nativeDefault,omitempty"`
	NativeKubelet     string         `json:"nativeKubelet,omitempty"`
	OptOut            *meshMetadata  `json:"optOut,omitempty"`
	SkipOutboundPorts string         `json:"skipOutboundPorts,omitempty"`
	Container         string         `json:"container,omitempty"`
	KillCommand       string         `json:"killCommand,omitempty"`
	Redirects         bool           `json:"redirects"`
	Hook              meshHook       `json:"hook"`
}

type meshVariable struct {
	Name      string `json:"name"`
	ValueFrom struct {
		FieldRef struct {
			FieldPath string `json:"fieldPath"`
		} `json:"fieldRef"`
	} `json:"valueFrom"`
}

type meshMetadata struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

type meshHook struct {
	Ready         []hookCheck `json:"ready,omitempty"`
	Stop          string      `json:"stop"`
	TokenHeader   string      `json:"tokenHeader,omitempty"`
	TokenVariable string      `json:"tokenVariable,omitempty"`
	Native        []string    `json:"native,omitempty"`
}

// A hookCheck is one readiness check of a mesh.
type hookCheck struct {
	URL  string `json:"url"`
	Body string `json:"body,omitempty"`
}

const meshTemplateText = `{{/*
The meshes, a row each. JSON, because it is read for every Job and fromJson is
ten times faster than fromYaml here.

  env                variables of a wrapped container, which carry pod annotations,
                     as they are printed. JOBMESH_POD_<MESH> is the first of them, and
                     the one that the injector of the mesh sets on a pod it put a proxy
                     into; without any, nobody injects the proxy, and it has to be named.
  wrap               what a pod has to ask the mesh for, so that its proxy can be
                     stopped at once.
  native             what asks for a native sidecar. nativeSince is the first release that
                     hears it, or that needs not be asked, and nativeDefault the first one
                     whose proxy is a native sidecar by default, on kubelets of
                     nativeKubelet and newer.
  optOut             what keeps the proxy out.
  skipOutboundPorts  annotation with the ports that bypass the proxy.
  container          the name of the proxy's container.
  killCommand        a command in that container that ends the proxy, for Argo Workflows,
                     whose executor needs one where there is no shell.
  redirects          the traffic of every container goes through the proxy.
  hook               what mode hook asks. ready lists readiness checks, any one of which
                     will do: a GET of url, whose answer has to be body where that is
                     there. stop is the stop request. A token goes into the header where
                     the variable is set. native is
                     a word of the shell and the pattern that it matches where the
                     annotations say that the proxy is a native sidecar.
*/}}
{{- define "jobmesh._meshes" -}}
%s
{{- end -}}
`

// meshTemplate returns the table that the chart's templates read.
func meshTemplate() ([]byte, error) {
	var rows []string
	for _, m := range slices.SortedFunc(slices.Values(mesh.All()), func(a, b mesh.Mesh) int { return strings.Compare(a.Name, b.Name) }) {
		text, err := rowJSON(chartRow(m))
		if err != nil {
			return nil, err
		}
		rows = append(rows, fmt.Sprintf("  %q: %s", m.Name, text))
	}
	return fmt.Appendf(nil, meshTemplateText, "{\n"+strings.Join(rows, ",\n")+"\n}"), nil
}

// rowJSON prints a row with one line for each of its fields.
func rowJSON(row meshRow) (string, error) {
	var compact bytes.Buffer
	encoder := json.NewEncoder(&compact)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(row); err != nil {
		return "", err
	}
	d := json.NewDecoder(&compact)
	if _, err := d.Token(); err != nil {
		return "", err
	}
	var lines []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("    %q: %s", key, spaced(value)))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n  }", nil
}

// chartRow returns what the templates read of a mesh.
func chartRow(m mesh.Mesh) meshRow {
	row := meshRow{Env: []meshVariable{}, SkipOutboundPorts: m.SkipPorts.Key, KillCommand: m.KillCommand, Redirects: m.Redirects()}
	if m.KillCommand != "" {
		row.Container = m.Container
	}
	variable := func(name, annotation string) {
		v := meshVariable{Name: name}
		v.ValueFrom.FieldRef.FieldPath = "metadata.annotations['" + annotation + "']"
		row.Env = append(row.Env, v)
	}
	if m.Annotation != "" {
		variable(m.Variable(), m.Annotation)
	}
	since := m.Native.Default
	for _, w := range m.NativeVariables() {
		if w.Name != "" {
			variable(w.Variable, w.Name)
		}
	}
	for _, w := range m.Native.Words {
		row.Native = row.Native.with(mesh.PodAnnotation, w.Name, "true")
		since = earliest(since, w.Since)
	}
	row.NativeSince, row.NativeDefault = since.String(), m.Native.Default.String()
	row.NativeKubelet = m.Native.DefaultKubelet.String()
	slices.SortFunc(row.Env, func(a, b meshVariable) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range m.Wrap {
		row.Wrap = row.Wrap.with(mesh.PodAnnotation, s.Key, s.Value)
	}
	for _, level := range m.Inject.OptOut {
		row.OptOut = row.OptOut.with(level, m.Inject.Key, m.Inject.No[0])
	}
	row.Hook = meshHook{Stop: m.Stop, TokenHeader: m.TokenHeader, TokenVariable: m.TokenVariable, Native: shellNative(m)}
	for _, url := range m.Ready {
		row.Hook.Ready = append(row.Hook.Ready, hookCheck{url, m.ReadyBody[url]})
	}
	return row
}

// earliest returns the older of two releases. An unknown release does not count.
func earliest(a, b mesh.Version) mesh.Version {
	if !a.Known() || b.Known() && a.AtLeast(b.Major, b.Minor) {
		return b
	}
	return a
}

// with adds an entry to what a mode writes into the metadata of a pod.
func (m *meshMetadata) with(level mesh.Level, key, value string) *meshMetadata {
	if m == nil {
		m = &meshMetadata{}
	}
	field := &m.Annotations
	if level == mesh.PodLabel {
		field = &m.Labels
	}
	if *field == nil {
		*field = map[string]string{}
	}
	(*field)[key] = value
	return m
}

// shellNative is a word of the shell and the pattern that it matches where the variables
// say that the proxy is a native sidecar: the first variable that is set, or the list in
// the injector's JSON. Nil where no variable tells.
func shellNative(m mesh.Mesh) []string {
	word := ""
	for _, w := range slices.Backward(m.NativeVariables()) {
		switch {
		case w.Name == "":
		case word == "":
			word = "$" + w.Variable
		default:
			word = "${" + w.Variable + ":-" + word + "}"
		}
	}
	switch {
	case word != "":
		return []string{word, shellYes[m.Native.Read]}
	case m.Native.Status != "":
		return []string{"${" + m.Variable() + "%%]*}", fmt.Sprintf(`*'"%s":['*'"%s"'*`, m.Native.Status, m.Container)}
	}
	return nil
}

// shellYes are the patterns of the words that a reading takes for yes.
var shellYes = map[mesh.Reading]string{
	mesh.GoBool: "1 | t | T | true | TRUE | True",
	mesh.Truthy: "1 | [yY] | [yY][eE][sS] | [oO][nN] | [tT][rR][uU][eE]",
}

// meshValues is what the schema takes for a mesh: one word, or several names with commas
// between them.
func meshValues() (any, error) {
	name := "(" + strings.Join(mesh.Names(), "|") + ")"
	return []any{
		map[string]any{"enum": append([]string{"auto", "none"}, mesh.Names()...)},
		map[string]any{"type": "string", "pattern": "^" + name + "(," + name + ")+$"},
	}, nil
}

// meshComment is the comment above the value mesh.
func meshComment() ([]byte, error) {
	var unmarked []string
	for _, m := range mesh.All() {
		if m.Annotation == "" {
			unmarked = append(unmarked, m.Name)
		}
	}
	text := "The mesh: " + listed(quoted(append([]string{"auto", "none"}, mesh.Names()...)), "or") +
		". With `auto` the wrapper reads from the annotations of its own pod which proxy was injected, and runs the command at once where none was; " +
		listed(quoted(unmarked), "and") + " have no such annotation and have to be named. Several names have commas between them; all of them are waited for, and all are stopped."
	return []byte(fold(text, "# ", 88)), nil
}

// fold breaks text into lines that begin with a prefix and have at most width bytes.
func fold(text, prefix string, width int) string {
	var b strings.Builder
	line := prefix
	for _, word := range strings.Fields(text) {
		if line != prefix && len(line)+len(word) >= width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}
