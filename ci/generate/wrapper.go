package main

import (
	"fmt"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrap"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// wrapperPage returns the reference of the wrapper, made from its own tables.
func wrapperPage() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# jobmesh-wrap\n\n")
	fmt.Fprintf(&b, "```\n%s```\n", wrap.Help())
	b.WriteString("\n## Flags and variables\n\n" +
		"The flag wins over its variable. An empty variable counts as unset, and a bad value is a usage error. " +
		"The variable of a repeatable flag has one value on each line; where a flag takes several values with commas, the variable does too. " +
		"No variable whose name begins with `JOBMESH_` reaches the command.\n\n" +
		"| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range wrapflags.Settings() {
		flag := "--" + s.Name
		if s.Value != "" {
			flag += " " + s.Value
		}
		usage := s.Usage
		if s.Commas {
			usage += "; several with commas, or repeated"
		} else if s.Repeatable {
			usage += "; repeatable"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", cell(flag), s.Variable(), code(s.Default), cell(usage))
	}
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n")
	for _, e := range wrap.ExitCodes {
		fmt.Fprintf(&b, "| %s | %s |\n", e.Name, cell(e.Meaning))
	}
	b.WriteString("\nA stop that fails never changes the code. " +
		"The last error is also appended to `/dev/termination-log` where that file exists.\n")
	meshSection(&b)
	b.WriteString(strings.ReplaceAll(otherNames, "~", "`"))
	b.WriteString("\n## Events\n\n" +
		"With `--log-format json` each line on stderr is an object with `time`, `level`, `event` and `message`, " +
		"and `duration_ms` and `hint` where there is one.\n\n| event | meaning |\n| --- | --- |\n")
	for _, e := range wrap.Events {
		fmt.Fprintf(&b, "| `%s` | %s |\n", e.Name, cell(e.Meaning))
	}
	return []byte(b.String()), nil
}

// otherNames is a section of the page, with ~ for the mark around code.
const otherNames = `
## Under the names of other wrappers

Started under the name ~linkerd-await~, it reads the flags of linkerd-await ` + wrapflags.AwaitVersion + ` and the
variables ~LINKERD_AWAIT_VERBOSE~, ~LINKERD_AWAIT_DISABLED~ and ~LINKERD_DISABLED~ as that
release does: also flags, and the first ~--~, behind the command, so that
~linkerd-await -S sh -- -c 'exit 3'~ runs ~sh -c 'exit 3'~. What that release refuses ends with its
exit code 2 here too, but for ~--help~, which it does not have; so does port 0.

Started under the name ~scuttle~, it reads the variables of scuttle 1.3.3 as that release does. A
value that scuttle passes over is passed over, with a line that says so. The proxy is stopped where
~ENVOY_ADMIN_API~ names ~127.0.0.1~ or ~localhost~, and never where it is not set or names another
host. A URL that nothing could be sent to is a usage error, where scuttle would wait for ever.
`

// code sets text as code, and leaves out what is empty.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

// meshSection says what the wrapper asks each proxy, and by what it knows which there is.
func meshSection(b *strings.Builder) {
	b.WriteString("\n## Meshes\n\n" +
		"`auto` follows the pod's annotations, which are in the file of `--pod-annotations`: " +
		"an annotation of the table below that is neither empty nor `false` names the mesh. Where the pod has none of them, there is no proxy. " +
		"Where there is no file, the wrapper asks the known ports for `--detect-timeout`, and takes the first proxy that answers. " +
		"It names any other proxy that it sees, and does not stop it.\n\n" +
		"The variables replace the annotations in a pod without that file, and win where both are there.\n\n" +
		"| mesh | annotation | variable | ready | stop |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range mesh.All() {
		row(b, m.Name, code(m.Annotation), code(m.Variable()), readyCell(m), stopCell(m))
	}
	b.WriteString("\n## Native sidecars\n\n" +
		"A proxy that is a native sidecar is waited for and never stopped: the kubelet ends it, and would start it again. " +
		"The wrapper knows it by the annotations below, by `--native`, by the pod annotation `" + mesh.NativeAnnotation + ": NAME[,NAME]`, " +
		"whose names are those of meshes or containers, and by what `install` has seen: a proxy that answers while init containers run, ready or not, is native.\n\n" +
		"| mesh | annotation | variable | native where it is |\n| --- | --- | --- | --- |\n")
	for _, m := range mesh.All() {
		if m.Native.Status != "" {
			row(b, m.Name, code(m.Annotation), code(m.Variable()), fmt.Sprintf("JSON with `%s` in its list `%s`", m.Container, m.Native.Status))
		}
		for _, w := range m.NativeVariables() {
			row(b, m.Name, code(w.Name), code(w.Variable), code("true"))
		}
	}
}

// readyCell lists the checks of which one will do.
func readyCell(m mesh.Mesh) string {
	var checks []string
	for _, url := range m.Ready {
		check := code(url)
		if body := m.ReadyBody[url]; body != "" {
			check += " with the body " + code(body)
		}
		checks = append(checks, check)
	}
	text := strings.Join(checks, " or ")
	if m.Fallback.Ready != "" {
		text += fmt.Sprintf("; %s where nobody listens at port %s", code(m.Fallback.Ready), stopPort(m))
	}
	return text
}

func stopCell(m mesh.Mesh) string {
	text := code(m.Stop)
	if m.StopAfterAnswer {
		text += ", once it has answered whether it is ready"
	}
	if m.TokenHeader != "" {
		text += fmt.Sprintf(", with the value of %s in the header %s", code(m.TokenVariable), code(m.TokenHeader))
	}
	if m.Fallback.Stop != "" {
		text += fmt.Sprintf("; %s where nobody listens at port %s", code(m.Fallback.Stop), stopPort(m))
	}
	return text
}

func stopPort(m mesh.Mesh) string {
	_, port, _ := m.StopURL()
	return port
}
