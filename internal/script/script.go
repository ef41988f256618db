// Package script reads what a container runs: the wrappers that it knows, and the
// shell in sh -c. It answers when a proxy would be stopped, whether the exit code
// of the work survives, and what it could not read. Nothing is run: a script is
// walked the way a shell would walk it, once for each command that may fail.
package script

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Limits that bound the time for any input. A script beyond them is one that
// cannot be told about.
const (
	maxText  = 64 << 10
	maxWord  = 8 << 10
	maxDepth = 40
	maxSteps = 60_000 // of all walks together

	maxBrackets = 500
	maxWork     = 24
)

// A Reading is what is known of a command line.
type Reading struct {
	// Wrapper is the outermost wrapper, nil where there is none.
	Wrapper *Wrapper
	// Refusals are what wrappers say of command lines that they do not take.
	Refusals []Refusal
	// Shell is set where a shell script was read.
	Shell bool
	// Stops are the calls that stop a proxy, in no order but a stable one.
	Stops []Stop
	// Outcome is when the script's own calls stop the proxy.
	Outcome Outcome
	// Early is an exit, as written, that leaves the script before the work and before
	// the call that stops the proxy: a test at the top. Empty where there is none.
	Early string
	// TooSoon is set where the proxy is stopped before the work, which then has no network.
	TooSoon bool
	// LosesCode is set where there is a run in which the exit code of the work would get
	// through but for the call that stops the proxy.
	LosesCode bool
	// NoCode is an exit, as written, whose argument is no number: a shell then ends with
	// a code of its own, whatever the work came to.
	NoCode string
	// Endless is a command, as written, that never ends and that every run gets to. Helper
	// says that it is one of internal/sidecar, which somebody else may end.
	Endless string
	Helper  bool
	// Opaque is the first thing that could not be read, as written.
	Opaque string
	// Swallowed is a client that would stop a proxy, and is the argument of another
	// program instead of a command.
	Swallowed string
	// WaitsFor are loops that wait for a proxy without a bound.
	WaitsFor []string
	// Programs are the names of the commands in it.
	Programs []string
	// Network is set where a command in it is of no use without one.
	Network bool
}

// Prepares tells whether it is known to do no more than prepare, wait and tell.
func (r Reading) Prepares() bool {
	return len(r.Programs) > 0 && r.Opaque == "" && !slices.ContainsFunc(r.Programs, func(n string) bool { return !neutral[n] })
}

// Read reads a command line. env are the container's variables, with Unknown for a
// value from elsewhere.
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

// direct is a program with its arguments. An interpreter's inline code may hold
// the request; when it is sent cannot be told.
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

// expandAll does what the kubelet does to a command line.
func expandAll(argv []string, env map[string]string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = Expand(a, env)
	}
	return out
}

// Expand replaces $(NAME) where it is a variable that the kubelet knows, and $$ by $.
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
	// file is the file that has the script, stdin is set where standard input has it.
	file  string
	stdin bool
}

var shells = []string{"sh", "bash", "ash", "dash", "zsh", "ksh"}

// Shells are the names of the shells whose command lines and scripts are read.
func Shells() []string { return slices.Clone(shells) }

// IsShell tells whether a word of a command line is the program of such a shell.
func IsShell(word string) bool { return slices.Contains(shells, path.Base(word)) }

// shellScript finds the script in a shell's command line: the text after -c and
// the parameters from $1 on.
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

// reader gathers what all runs of one script find.
type reader struct {
	env map[string]string
	// files are texts that were parsed, and texts are parts of them as printed again.
	files map[string]*syntax.File
	texts map[syntax.Node]string
	stops map[Stop]bool
	names map[string]bool
	waits []string
	// refusals are those of all wrappers that it runs.
	refusals []Refusal
	// written are files that the script writes itself, with their text.
	written map[string]string
	// unread, swallowed and noCode are the first of what Reading calls Opaque, Swallowed
	// and NoCode.
	unread    string
	swallowed string
	noCode    string
	// dash is set where the shell may be one without the /dev/tcp of bash, and unsure
	// where a stop depends on that.
	dash, unsure bool
	// network is what Reading calls so.
	network bool
	// steps are the commands walked so far, which maxSteps bounds.
	steps int
}

func newReader(env map[string]string) *reader {
	return &reader{env: env, files: map[string]*syntax.File{}, texts: map[syntax.Node]string{}, stops: map[Stop]bool{}, names: map[string]bool{}, written: map[string]string{}}
}

// parse reads shell text, once for each text; nil where it is none.
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

// deep tells whether brackets are open so deep that the parser takes long over them.
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

// step counts the walk; it is false when the budget is spent.
func (r *reader) step() bool {
	r.steps++
	if r.steps > maxSteps {
		r.opaque("a script this long")
		return false
	}
	return true
}

// text is a part of a script as a shell would print it.
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

// textStops finds stop requests in a text that is no shell this package can read.
func textStops(text string) []Stop {
	if mesh, ok := stopIn(text); ok {
		return []Stop{{Tool: "sh", Mesh: mesh, Post: true}}
	}
	return nil
}
