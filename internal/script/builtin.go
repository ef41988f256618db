package script

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// An invocation is a simple command with expanded words.
type invocation struct {
	call *syntax.CallExpr
	// words are the name of the command and its arguments.
	words []string
	// source is the command as the author wrote it.
	source string
}

// A builtin does what a builtin command of the shell does. It returns whether the command has
// to be handled as a program, too.
type builtin func(*shell, invocation) (program bool)

// builtins are the builtin commands that matter here. The table is filled by init, because some
// of them run other commands.
var builtins map[string]builtin

func init() {
	builtins = map[string]builtin{
		"exit":     exit,
		"return":   exit,
		"break":    leaveLoop,
		"continue": leaveLoop,
		"set":      set,
		"shopt":    set,
		"shift":    shift,
		"trap":     trap,
		"exec":     exec,
		"wait":     wait,
		"test":     test,
		"[":        test,
		"command":  command,
		"true":     succeed,
		":":        succeed,
		"false":    fail,
		"echo":     echo,
		"printf":   echo,
		"cat":      cat,
		"kill":     kill,
		"eval":     eval,
		".":        sourceFile,
		"source":   sourceFile,
	}
}

func exit(s *shell, i invocation) bool {
	// An exit 0 that follows the stop was added with the stop.
	if len(i.words) > 1 && !(s.leftOut && i.call.Args[len(i.call.Args)-1].Lit() == "0") {
		s.last = codeOf(i.words[1])
		if !isNumber.MatchString(i.words[1]) && s.noCode == "" {
			s.noCode = i.source
		}
	}
	if baseName(i.words) == "return" {
		s.returned = true
		return false
	}
	s.exited = true
	if !s.apart {
		s.found.exit = i.call
	}
	return false
}

// isNumber matches the arguments that exit accepts as a code, and those that are not known.
var isNumber = regexp.MustCompile(`^-?[0-9]+$|\x00|^$`)

func leaveLoop(s *shell, i invocation) bool {
	s.left, s.again = true, baseName(i.words) == "continue"
	return false
}

func set(s *shell, i invocation) bool {
	s.last = success
	words := i.words[1:]
	for n, w := range words {
		on := strings.HasPrefix(w, "-")
		if !on && !strings.HasPrefix(w, "+") {
			continue
		}
		if w == "--" {
			s.params = words[n+1:]
			return false
		}
		if strings.Contains(w[1:], "e") {
			s.errexit = on
		}
		if strings.Contains(w[1:], "o") && n+1 < len(words) {
			switch words[n+1] {
			case "errexit":
				s.errexit = on
			case "pipefail":
				s.pipe = on
			}
		}
	}
	return false
}

func shift(s *shell, _ invocation) bool {
	s.params = s.params[min(1, len(s.params)):]
	s.last = success
	return false
}

func trap(s *shell, i invocation) bool {
	s.last = success
	if len(i.words) > 1 && i.words[1] == "--" {
		i.words = i.words[1:]
	}
	if len(i.words) < 3 {
		return false
	}
	action := i.words[1]
	if action == "-" {
		action = ""
	}
	for _, signal := range i.words[2:] {
		switch signal {
		case "EXIT", "0":
			s.trap = action
		case "ERR":
			s.onError = action
		}
	}
	return false
}

// exec replaces the shell: neither a command behind it nor a trap runs.
func exec(s *shell, i invocation) bool {
	if len(i.words) == 1 {
		s.last = success
		if s.withoutStops && len(s.ports) > 0 { // the connection is a part of the call
			s.last = s.previous
		}
		return false // exec with redirections alone does not replace the shell
	}
	i.words = i.words[1:]
	s.program(i)
	s.exited, s.trap = true, ""
	return false
}

func wait(s *shell, i invocation) bool {
	s.last = success
	jobs := *s.jobs
	var waited []ended
	all := true
	for _, w := range i.words[1:] {
		number, isJob := strings.CutPrefix(w, job)
		if strings.HasPrefix(w, "%") {
			number, isJob = w[1:], true
		}
		n, err := strconv.Atoi(number)
		switch {
		case isJob && err == nil && n > 0 && n <= len(jobs):
			waited = append(waited, jobs[n-1])
		case len(jobs) > 0:
			waited = append(waited, jobs[len(jobs)-1])
		}
		all = false
		if w == "-n" { // waits for the first job that ends, never for an endless one
			return s.waitForAny(jobs)
		}
	}
	if all {
		waited = jobs
	}
	for _, j := range waited {
		if j.endless.source != "" {
			s.hang(j.endless)
			return false
		}
		if !all {
			s.last = j.code
		}
	}
	return false
}

func (s *shell) waitForAny(jobs []ended) bool {
	ends := len(jobs) == 0
	for _, j := range jobs {
		if j.endless.source == "" {
			ends = true
			if j.code != success {
				s.last = j.code
			}
		}
	}
	if !ends {
		s.hang(jobs[len(jobs)-1].endless)
	}
	return false
}

// kill ends background commands, so that wait does not wait for them any more.
func kill(s *shell, i invocation) bool {
	jobs := *s.jobs
	for _, w := range i.words[1:] {
		number, isJob := strings.CutPrefix(w, job)
		if n, err := strconv.Atoi(number); isJob && err == nil && n > 0 && n <= len(jobs) {
			jobs[n-1].endless = endlessness{}
		}
		if strings.HasPrefix(w, "%") || strings.Contains(w, Unknown) {
			for n := range jobs {
				jobs[n].endless = endlessness{}
			}
		}
	}
	if s.tested > 0 && len(i.words) > 1 && i.words[1] == "-0" {
		s.ask(i.source)
		return false
	}
	return true
}

func test(s *shell, i invocation) bool {
	if s.last = s.testWords(i.words[1:]); s.last == open {
		s.ask(i.source)
	}
	return false
}

// command -v curl asks whether curl exists. Where it does not, its calls have no effect.
func command(s *shell, i invocation) bool {
	if len(i.words) > 1 && (i.words[1] == "-v" || i.words[1] == "-V") {
		s.last = success
		if len(i.words) > 2 && !slices.Contains(clients, baseName(i.words[2:])) {
			s.ask(i.source)
		}
		return false
	}
	return true
}

// clients are programs that send requests.
var clients = []string{"curl", "wget", "nc", "pilot-agent", "linkerd-await", "pkill", "killall"}

func succeed(s *shell, _ invocation) bool {
	s.last = success
	return false
}

func fail(s *shell, _ invocation) bool {
	s.last = other
	return false
}

func echo(s *shell, i invocation) bool {
	stops := len(s.stops)
	s.last = success
	s.writes(strings.Join(i.words[1:], " "))
	return len(s.stops) == stops && s.ports["1"] == ""
}

// cat prints its standard input.
func cat(s *shell, i invocation) bool {
	if len(i.words) > 1 && !slices.Equal(i.words[1:], []string{"-"}) {
		return true
	}
	s.last = success
	s.writes(s.input)
	return s.ports["1"] == ""
}

func eval(s *shell, i invocation) bool {
	text := strings.Join(i.words[1:], " ")
	file := (*syntax.File)(nil)
	if !strings.Contains(text, "\x00") {
		file = s.parse(text)
	}
	if file == nil || s.depth > maxDepth {
		s.opaque(i.source)
		s.last = open
		return false
	}
	s.depth++
	s.stmts(file.Stmts)
	s.depth--
	return false
}

func sourceFile(s *shell, i invocation) bool {
	if len(i.words) > 1 {
		if file := s.parse(s.written[i.words[1]]); s.written[i.words[1]] != "" && file != nil && s.depth <= maxDepth {
			s.depth++
			s.stmts(file.Stmts)
			s.depth--
			return false
		}
	}
	s.opaque(i.source)
	return true
}
