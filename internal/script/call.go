package script

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func (s *shell) call(c *syntax.CallExpr) {
	if len(c.Args) == 0 {
		before := s.last
		s.last = success
		for _, a := range c.Assigns {
			// rc=$? reads the code of the command before.
			s.last = before
			s.assign(a)
			if a.Value == nil || !substitutes(a.Value) {
				s.last = success
			}
		}
		return
	}
	s.before = s.last
	words := s.words(c.Args)
	if len(words) == 0 {
		s.last = success
		return
	}
	name := path.Base(words[0])
	if body, ok := s.funcs[words[0]]; ok {
		s.function(body, words[1:])
		return
	}
	source := s.text(c)
	switch name {
	case "exit", "return":
		// An exit 0 that follows the stop belongs to it.
		if len(words) > 1 && (!s.glue || codeOf(words[1]) != success) {
			s.last = codeOf(words[1])
		}
		s.exited, s.left = s.exited || name == "exit", name == "return"
		return
	case "break", "continue":
		s.left = true
		return
	case "set", "shopt":
		s.set(words[1:])
		return
	case "shift":
		s.params = s.params[min(1, len(s.params)):]
		s.last = success
		return
	case "trap":
		s.setTrap(words[1:])
		return
	case "exec":
		s.exec(c, words, source)
		return
	case "wait":
		s.last = success
		if len(words) > 1 {
			s.last = s.job
		}
		return
	case "test", "[":
		s.last = s.testWords(words[1:])
		return
	case "command": // command -v curl: is it there? Where it is not, no call helps.
		if len(words) > 1 && (words[1] == "-v" || words[1] == "-V") {
			s.last = success
			return
		}
	case "true", ":":
		s.last = success
		return
	case "false":
		s.last = other
		return
	case "echo", "printf":
		if s.out != nil {
			s.out.WriteString(strings.Join(words[1:], " "))
		}
	case "eval":
		s.eval(strings.Join(words[1:], " "), source)
		return
	case ".", "source":
		s.opaque(source)
	}
	s.program(c, words, source)
}

// program is a command that is no builtin: it stops a proxy, waits for one, works,
// or prepares.
func (s *shell) program(c *syntax.CallExpr, words []string, source string) {
	plain := unprefixed(words)
	if len(plain) == 0 {
		s.last = success
		return
	}
	name := path.Base(plain[0])
	if strings.Contains(plain[0], "\x00") {
		s.opaque(source)
		s.works(c)
		return
	}
	if w, ok := readWrapper(plain, s.env); ok {
		s.wrapped(c, w)
		return
	}
	if text, params, flags, ok := shellScript(plain); ok {
		s.inner(c, text, params, flags)
		return
	}
	if stop, ok := stopOf(words, source); ok {
		s.stop(stop)
		return
	}
	if _, found := stopIn(source); found && s.eaten == "" {
		s.eaten = swallowed(words)
	}
	if ready.MatchString(source) && network[name] {
		s.last = success
		return
	}
	s.names[name] = true
	if !neutral[name] || s.strict {
		s.works(c)
		return
	}
	s.last = success
}

// stop notes a call that stops a proxy.
func (s *shell) stop(stop Stop) {
	s.stops[stop] = true
	if s.stopless { // as if it were not there: $? stays
		s.last, s.skipped, s.glue = s.before, true, true
		return
	}
	*s.stopped = true
	s.last = success
}

// works is a command whose exit code is the script's purpose.
func (s *shell) works(c *syntax.CallExpr) {
	if !slices.Contains(*s.work, c) {
		*s.work = append(*s.work, c)
	}
	s.last = success
	if s.fails == c {
		s.last = failure
	}
}

func (s *shell) wrapped(c *syntax.CallExpr, w Wrapper) {
	s.works(c)
	if w.Stops == Never {
		return
	}
	s.stops[Stop{Tool: w.Name, Mesh: w.Mesh, Post: true}] = true
	if w.Stops == Always || s.last == success {
		*s.stopped = true
	}
}

// inner is a shell started by the script.
func (s *shell) inner(c *syntax.CallExpr, text string, params []string, flags shellFlags) {
	if strings.Contains(text, "\x00") || flags.file {
		s.opaque(s.text(c))
		s.works(c)
		return
	}
	file := s.parse(text)
	if file == nil || s.depth > maxDepth {
		s.opaque(s.text(c))
		s.works(c)
		return
	}
	sub := s.sub()
	sub.params, sub.errexit, sub.funcs = params, flags.errexit, map[string]*syntax.Stmt{}
	sub.tested = 0
	sub.stmts(file.Stmts)
	sub.leave()
	s.last = sub.last
}

func (s *shell) function(body *syntax.Stmt, params []string) {
	if s.depth > maxDepth {
		s.opaque("a function that calls itself")
		s.exited = true
		return
	}
	before := s.params
	s.params = params
	s.depth++
	s.stmt(body)
	s.depth--
	s.params, s.left = before, false
}

// exec replaces the shell: nothing after it runs, and no trap.
func (s *shell) exec(c *syntax.CallExpr, words []string, source string) {
	if len(words) == 1 {
		s.last = success
		return // only redirections
	}
	s.program(c, words[1:], source)
	s.exited, s.trap = true, ""
}

func (s *shell) eval(text, source string) {
	file := (*syntax.File)(nil)
	if !strings.Contains(text, "\x00") {
		file = s.parse(text)
	}
	if file == nil || s.depth > maxDepth {
		s.opaque(source)
		s.last = open
		return
	}
	s.depth++
	s.stmts(file.Stmts)
	s.depth--
}

func (s *shell) set(words []string) {
	s.last = success
	for i, w := range words {
		on := strings.HasPrefix(w, "-")
		if !on && !strings.HasPrefix(w, "+") {
			continue
		}
		if w == "--" {
			s.params = words[i+1:]
			return
		}
		if strings.Contains(w[1:], "e") {
			s.errexit = on
		}
		if strings.Contains(w[1:], "o") && i+1 < len(words) {
			switch words[i+1] {
			case "errexit":
				s.errexit = on
			case "pipefail":
				s.pipe = on
			}
		}
	}
}

func (s *shell) setTrap(words []string) {
	s.last = success
	if len(words) < 2 {
		return
	}
	action := words[0]
	if action == "-" {
		action = ""
	}
	for _, signal := range words[1:] {
		switch signal {
		case "EXIT", "0":
			s.trap = action
		case "ERR":
			s.onError = action
		}
	}
}

func (s *shell) assign(a *syntax.Assign) {
	if a.Name == nil {
		return
	}
	value := ""
	if a.Value != nil {
		value = s.word(a.Value)
	}
	if a.Array != nil || a.Index != nil || a.Append {
		value = unknown
	}
	s.vars[a.Name.Value] = value
}

func substitutes(w *syntax.Word) bool {
	found := false
	syntax.Walk(w, func(n syntax.Node) bool {
		_, is := n.(*syntax.CmdSubst)
		found = found || is
		return !found
	})
	return found
}
