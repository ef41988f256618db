package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// An invocation is a simple command with its words expanded.
type invocation struct {
	call *syntax.CallExpr
	// words are the name of the command and its arguments.
	words []string
	// source is the command as it is written.
	source string
}

// A builtin does what a command of the shell does. It returns whether the command is to
// be looked at as a program too.
type builtin func(*shell, invocation) (program bool)

// builtins are the commands that a shell does itself, as far as they matter here. The
// table is filled by init, since some of them run further commands.
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
		"eval":     eval,
		".":        sourceFile,
		"source":   sourceFile,
	}
}

func exit(s *shell, i invocation) bool {
	// An exit 0 that follows the stop belongs to it.
	if len(i.words) > 1 && (!s.leftOut || codeOf(i.words[1]) != success) {
		s.last = codeOf(i.words[1])
	}
	name := baseName(i.words)
	s.exited, s.left = s.exited || name == "exit", name == "return"
	return false
}

func leaveLoop(s *shell, _ invocation) bool {
	s.left = true
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

// exec replaces the shell: nothing after it runs, and no trap.
func exec(s *shell, i invocation) bool {
	if len(i.words) == 1 {
		s.last = success
		return false // only redirections
	}
	i.words = i.words[1:]
	s.program(i)
	s.exited, s.trap = true, ""
	return false
}

func wait(s *shell, i invocation) bool {
	s.last = success
	if len(i.words) > 1 {
		s.last = s.job
	}
	return false
}

func test(s *shell, i invocation) bool {
	s.last = s.testWords(i.words[1:])
	return false
}

// command -v curl asks whether it is there. Where it is not, no call of it helps.
func command(s *shell, i invocation) bool {
	if len(i.words) > 1 && (i.words[1] == "-v" || i.words[1] == "-V") {
		s.last = success
		return false
	}
	return true
}

func succeed(s *shell, _ invocation) bool {
	s.last = success
	return false
}

func fail(s *shell, _ invocation) bool {
	s.last = other
	return false
}

func echo(s *shell, i invocation) bool {
	if s.out != nil {
		s.out.WriteString(strings.Join(i.words[1:], " "))
	}
	return true
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
	s.opaque(i.source)
	return true
}
