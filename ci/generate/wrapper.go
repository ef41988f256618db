package main

import (
	"fmt"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrap"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// wrapperPage is the reference of the wrapper, from its own tables.
func wrapperPage() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# jobmesh-wrap\n\n")
	fmt.Fprintf(&b, "```\n%s```\n", wrap.Help())
	b.WriteString("\n## Flags and variables\n\n" +
		"The flag wins over its variable. An empty variable is unset, a bad value is a usage error. " +
		"A repeatable flag's variable has one value a line. " +
		"No variable whose name begins with `JOBMESH_` reaches the command.\n\n" +
		"| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range wrapflags.Settings() {
		flag := "--" + s.Name
		if s.Value != "" {
			flag += " " + s.Value
		}
		usage := s.Usage
		if s.Repeatable {
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
	b.WriteString("\n## Meshes\n\n" +
		"`auto` follows the pod's annotations, which the library chart hands over in the variables below: " +
		"a value other than empty and `false` names the mesh. All of them empty: there is no proxy. " +
		"None of them there: the wrapper looks at the known ports for `--detect-timeout`.\n\n" +
		"| mesh | annotation | variable | ready | stop |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range mesh.All() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", m.Name, code(m.Annotation), code(m.Variable()), code(strings.Join(m.Ready, " or ")), code(m.Stop))
		for _, w := range m.Native.Words {
			if w.Variable != "" {
				fmt.Fprintf(&b, "| | `%s` | `%s` | `true`: a native sidecar, never stopped | |\n", w.Name, w.Variable)
			}
		}
	}
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

Started under the name ~linkerd-await~, it reads the flags of linkerd-await 0.3.3 and the
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
