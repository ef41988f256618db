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
	maxSteps = 50_000 // of all walks together

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
	// LosesCode is set where the exit code of the work would get through but for
	// the call that stops the proxy.
	LosesCode bool
	// Opaque is the first thing that could not be read, as written.
	Opaque string
	// Swallowed is a client that would stop a proxy, and is the argument of another
	// program instead of a command.
	Swallowed string
	// WaitsFor are loops that wait for a proxy without a bound.
	WaitsFor []string
	// Programs are the names of the commands in it.
	Programs []string
}

// Network tells whether any command in it needs one.
func (r Reading) Network() bool {
	return slices.ContainsFunc(r.Programs, func(n string) bool { return network[n] })
}

// Read reads a command line. env are the container's variables, with Unknown for a
// value from elsewhere.
func Read(argv []string, env map[string]string) Reading {
	argv = unprefixed(expandAll(argv, env))
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
	case ok && flags.file:
		return Reading{Shell: true, Opaque: strings.Join(argv, " ")}
	case ok:
		return newReader(env).read(text, params, flags)
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
	r.Programs = []string{path.Base(argv[0])}
	if stop, ok := stopOf(argv, strings.Join(argv, " ")); ok {
		r.Stops, r.Outcome = []Stop{stop}, CannotTell
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
	// file is set where the script is in a file of the image.
	file bool
}

var shells = []string{"sh", "bash", "ash", "dash", "zsh", "ksh"}

// shellScript finds the script in a shell's command line: the text after -c and
// the parameters from $1 on.
func shellScript(argv []string) (text string, params []string, flags shellFlags, ok bool) {
	if len(argv) == 0 || !slices.Contains(shells, path.Base(argv[0])) {
		return "", nil, flags, false
	}
	for i := 1; i < len(argv); i++ {
		a := argv[i]
		if strings.HasPrefix(a, "--") && a != "--" {
			continue
		}
		if !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "+") {
			flags.file = true
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
	return "", nil, flags, true // a shell that reads standard input
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
	// unread and swallowed are the first of what Reading calls Opaque and Swallowed.
	unread    string
	swallowed string
	// steps are the commands walked so far, which maxSteps bounds.
	steps int
}

func newReader(env map[string]string) *reader {
	return &reader{env: env, files: map[string]*syntax.File{}, texts: map[syntax.Node]string{}, stops: map[Stop]bool{}, names: map[string]bool{}}
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

// read walks the script once as it is meant, then once for each command that may
// fail, each with the tests that cannot be read taken for true and for false.
func (r *reader) read(text string, params []string, flags shellFlags) Reading {
	result := Reading{Shell: true}
	file := r.parse(text)
	if file == nil {
		if strings.TrimSpace(text) != "" {
			result.Opaque = firstLine(text)
		}
		result.Stops = textStops(text)
		if len(result.Stops) > 0 {
			result.Outcome = CannotTell
		}
		return result
	}
	walk := func(w world) (code, bool, []*syntax.CallExpr) {
		var stopped bool
		var work []*syntax.CallExpr
		s := &shell{reader: r, world: w, vars: map[string]string{}, params: params, funcs: map[string]*syntax.Stmt{},
			errexit: flags.errexit, stopped: &stopped, work: &work}
		return s.run(file), stopped, work
	}
	var seen []Outcome
	loses, keeps := false, false
	for _, truth := range []bool{true, false} {
		outcome, lost := judge(walk, truth)
		seen = append(seen, outcome)
		loses, keeps = loses || lost, keeps || !lost
	}
	// Only the script's own text, not what is in functions that nobody calls.
	switch {
	case len(r.stops) == 0:
		result.Outcome = Never
	case seen[0] == seen[1]:
		result.Outcome = seen[0]
	default:
		result.Outcome = CannotTell
	}
	result.LosesCode = loses && !keeps
	if r.steps > maxSteps { // the last walks were cut short
		result.LosesCode = false
		if len(r.stops) > 0 {
			result.Outcome = CannotTell
		}
	}
	result.Opaque, result.Swallowed = r.unread, r.swallowed
	result.WaitsFor = slices.Compact(r.waits)
	result.Refusals = r.refusals
	for s := range r.stops {
		result.Stops = append(result.Stops, s)
	}
	slices.SortFunc(result.Stops, func(a, b Stop) int { return strings.Compare(a.Tool+a.Mesh, b.Tool+b.Mesh) })
	for name := range r.names {
		result.Programs = append(result.Programs, name)
	}
	for _, s := range result.Stops {
		result.Programs = append(result.Programs, s.Tool)
	}
	slices.Sort(result.Programs)
	return result
}

// judge runs a script in all its worlds.
func judge(walk func(world) (code, bool, []*syntax.CallExpr), truth bool) (outcome Outcome, loses bool) {
	_, stopped, work := walk(world{truth: truth})
	anyWork := len(work) == 0
	if anyWork {
		_, stopped, work = walk(world{truth: truth, anyWork: true})
	}
	if !stopped {
		return Never, false
	}
	outcome = Always
	for _, c := range work[:min(len(work), maxWork)] {
		with, reached, _ := walk(world{fails: c, truth: truth, anyWork: anyWork})
		if !reached {
			outcome = OnSuccess
		}
		without, _, _ := walk(world{fails: c, truth: truth, anyWork: anyWork, withoutStops: true})
		if without == failure && (with == success || with == other) {
			loses = true
		}
	}
	return outcome, loses
}

// textStops finds stop requests in a text that is no shell this package can read.
func textStops(text string) []Stop {
	if mesh, ok := stopIn(text); ok {
		return []Stop{{Tool: "sh", Mesh: mesh, Post: true}}
	}
	return nil
}
