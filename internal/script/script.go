// Package script reads what a container runs: the wrappers that it knows, and the shell script
// in sh -c. It says when a proxy would be stopped, whether the exit code of the work survives,
// and what it could not read. It executes nothing: it walks a script as a shell would, once for
// each command that may fail.
package script

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// These limits bound the time for any input. A script beyond them is one of which nothing can
// be said.
const (
	maxText  = 64 << 10
	maxWord  = 8 << 10
	maxDepth = 40
	maxSteps = 60_000 // the sum over all walks

	maxBrackets = 500
	maxWork     = 24
)

// A Reading is what is known about a command line.
type Reading struct {
	// Wrapper is the outermost wrapper; it is nil where there is none.
	Wrapper *Wrapper
	// Refusals are the messages of wrappers that refuse their command line.
	Refusals []Refusal
	// Shell says that a shell script was read.
	Shell bool
	// Stops are the calls that stop a proxy, in a stable order.
	Stops []Stop
	// Outcome says when the script's own calls stop the proxy.
	Outcome Outcome
	// Early is an exit, as the author wrote it, that ends the script before the work and before
	// the call that stops the proxy, such as a test at the top. It is empty where there is none.
	Early string
	// TooSoon says that the proxy is stopped before the work, which then has no network.
	TooSoon bool
	// LosesCode says that the exit code of the work gets lost in some run because of the call
	// that stops the proxy.
	LosesCode bool
	// NoCode is an exit, as the author wrote it, whose argument is not a number: a shell then
	// ends with a code of its own, whatever the code of the work was.
	NoCode string
	// Endless is a command, as the author wrote it, that never ends and that every run reaches.
	// Helper says that it is one of internal/sidecar, which somebody else may end.
	Endless string
	Helper  bool
	// Opaque is the first part that could not be read, as the author wrote it.
	Opaque string
	// Swallowed is a client that would stop a proxy, but is an argument of another program
	// instead of a command.
	Swallowed string
	// WaitsFor are the texts of loops that wait for a proxy without a limit.
	WaitsFor []string
	// Programs are the names of the commands in the script.
	Programs []string
	// Network says that a command in it is useless without a network.
	Network bool
}

// Prepares tells whether the command is known to only prepare, wait and print.
func (r Reading) Prepares() bool {
	return len(r.Programs) > 0 && r.Opaque == "" && !slices.ContainsFunc(r.Programs, func(n string) bool { return !neutral[n] })
}

// Read reads a command line. The parameter env has the container's environment variables, with
// Unknown for a value from elsewhere.
func Read(argv []string, env map[string]string) Reading {
	argv = expandAll(argv, env)
	if plain := unprefixed(argv); len(plain) < len(argv) {
		r := Read(plain, env)
		if bounded(argv, plain) {
			r.Endless, r.Helper = "", false
		}
		return r
	}
	switch w, refused, ok := readWrapper(argv, env); {
	case refused != nil:
		return Reading{Wrapper: &w, Refusals: []Refusal{*refused}}
	case ok:
		r := Read(w.Command, env)
		if r.Wrapper != nil && w.Stops == Never && !w.Waits {
			return r
		}
		r.Wrapper = &w
		return r
	}
	text, params, flags, ok := shellScript(argv)
	switch {
	case ok && (flags.file != "" || flags.stdin):
		return Reading{Shell: true, Opaque: strings.Join(argv, " ")}
	case ok:
		r := newReader(env)
		r.dash = path.Base(argv[0]) != "bash"
		return r.read(text, params, flags)
	}
	return direct(argv)
}

// direct reads a program with its arguments. An interpreter's inline code may contain the stop
// request, but when it is sent cannot be known.
func direct(argv []string) Reading {
	var r Reading
	if len(argv) == 0 {
		return r
	}
	source := strings.Join(argv, " ")
	r.Programs, r.Network = []string{path.Base(argv[0])}, needsNetwork(argv)
	if endless(argv) {
		r.Endless = firstLine(source)
	}
	if stops := stopsOf(argv, source); len(stops) > 0 {
		r.Stops, r.Outcome = stops, CannotTell
		r.Opaque = r.Programs[0]
	}
	return r
}

// expandAll expands a command line as the kubelet does.
func expandAll(argv []string, env map[string]string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = Expand(a, env)
	}
	return out
}

// Expand replaces $(NAME) where NAME is a variable that the kubelet knows, and $$ by $.
func Expand(text string, env map[string]string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		if strings.HasPrefix(rest, "$$") {
			b.WriteByte('$')
			i++
			continue
		}
		if name, _, ok := strings.Cut(strings.TrimPrefix(rest, "$("), ")"); ok && strings.HasPrefix(rest, "$(") {
			if value, known := env[name]; known {
				b.WriteString(value)
				i += len(name) + len("$()") - 1
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

type shellFlags struct {
	errexit bool
	// file is the file with the script; stdin says that the script is on standard input.
	file  string
	stdin bool
}

var shells = []string{"sh", "bash", "ash", "dash", "zsh", "ksh"}

// Shells returns the names of the shells whose command lines and scripts are read.
func Shells() []string { return slices.Clone(shells) }

// IsShell tells whether a word of a command line is the program of such a shell.
func IsShell(word string) bool { return slices.Contains(shells, path.Base(word)) }

// shellScript returns the script in a shell's command line: the text behind -c, and the
// parameters from $1 on.
func shellScript(argv []string) (text string, params []string, flags shellFlags, ok bool) {
	if len(argv) == 0 || !IsShell(argv[0]) {
		return "", nil, flags, false
	}
	for i := 1; i < len(argv); i++ {
		a := argv[i]
		if strings.HasPrefix(a, "--") && a != "--" {
			continue
		}
		if !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "+") {
			flags.file = a
			return "", argv[i+1:], flags, true
		}
		if a == "-" || a == "-s" {
			flags.stdin = true
			return "", nil, flags, true
		}
		if strings.Contains(a, "e") {
			flags.errexit = true
		}
		if strings.HasSuffix(a, "o") && i+1 < len(argv) {
			i++
			flags.errexit = flags.errexit || argv[i] == "errexit"
		}
		if strings.Contains(a, "c") {
			for i+1 < len(argv) && strings.HasPrefix(argv[i+1], "-") {
				i++ // sh -c -e TEXT
				flags.errexit = flags.errexit || strings.Contains(argv[i], "e")
			}
			if i+1 >= len(argv) {
				return "", nil, flags, true
			}
			if i+3 <= len(argv)-1 {
				params = argv[i+3:]
			}
			return argv[i+1], params, flags, true
		}
	}
	flags.stdin = true
	return "", nil, flags, true
}

// A reader collects what all runs of one script find.
type reader struct {
	env map[string]string
	// files are the parsed texts, and texts are parts of them as they are printed again.
	files map[string]*syntax.File
	texts map[syntax.Node]string
	stops map[Stop]bool
	names map[string]bool
	waits []string
	// refusals are those of all wrappers that the script runs.
	refusals []Refusal
	// written are the files that the script writes itself, with their text.
	written map[string]string
	// unread, swallowed and noCode are the first of what Reading calls Opaque, Swallowed and
	// NoCode.
	unread    string
	swallowed string
	noCode    string
	// dash says that the shell may lack the /dev/tcp of bash, and unsure says that a stop
	// depends on that.
	dash, unsure bool
	// network has the meaning of Reading.Network.
	network bool
	// steps is the number of commands walked so far; maxSteps is its limit.
	steps int
}

func newReader(env map[string]string) *reader {
	return &reader{env: env, files: map[string]*syntax.File{}, texts: map[syntax.Node]string{}, stops: map[Stop]bool{}, names: map[string]bool{}, written: map[string]string{}}
}

// parse parses shell text, each text once. It returns nil for a text that is not a script.
func (r *reader) parse(text string) *syntax.File {
	if file, ok := r.files[text]; ok {
		return file
	}
	var file *syntax.File
	if len(text) <= maxText && !deep(text) {
		parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
		if err == nil {
			file = parsed
		}
	}
	r.files[text] = file
	return file
}

// deep tells whether brackets are nested so deep that the parser takes long over them.
func deep(text string) bool {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > maxBrackets {
			return true
		}
	}
	return false
}

func (r *reader) opaque(what string) {
	if r.unread == "" {
		r.unread = firstLine(what)
	}
}

// step counts the steps of the walk. It returns false when the limit is reached.
func (r *reader) step() bool {
	r.steps++
	if r.steps > maxSteps {
		r.opaque("a script this long")
		return false
	}
	return true
}

// text returns a part of a script as a shell would print it.
func (r *reader) text(n syntax.Node) string {
	text, ok := r.texts[n]
	if !ok {
		var b strings.Builder
		if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, n); err == nil {
			text = strings.TrimSpace(b.String())
		}
		r.texts[n] = text
	}
	return text
}

func (r *reader) textOf(list []*syntax.Stmt) string {
	var parts []string
	for _, s := range list {
		parts = append(parts, r.text(s))
	}
	return strings.Join(parts, "; ")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > 60 {
		return string(runes[:57]) + "..."
	}
	return line
}

// textStops finds stop requests in a text that is not a shell script which this package can
// read.
func textStops(text string) []Stop {
	if mesh, ok := stopIn(text); ok {
		return []Stop{{Tool: "sh", Mesh: mesh, Post: true}}
	}
	return nil
}
