package script

import (
	"maps"
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
			// rc=$? reads the code of the previous command.
			s.last = before
			s.assign(a)
			if a.Value == nil || !substitutes(a.Value) {
				s.last = success
			}
		}
		return
	}
	s.previous = s.last
	defer func() {
		if !s.withoutStops || !s.justLeftOut {
			s.pipes = []code{s.last}
		}
	}()
	words := s.words(c.Args)
	s.justLeftOut = false
	if len(words) == 0 {
		s.last = success
		return
	}
	if body, ok := s.funcs[words[0]]; ok {
		s.function(body, words[1:])
		return
	}
	i := invocation{c, words, s.text(c)}
	if do, ok := builtins[baseName(words)]; !ok || do(s, i) {
		s.program(i)
	}
}

// baseName is the name of a command without its folder.
func baseName(words []string) string { return path.Base(words[0]) }

// program handles a command that is not a builtin: it stops a proxy, waits for one, works, or
// prepares.
func (s *shell) program(i invocation) {
	plain := unprefixed(i.words)
	if len(plain) == 0 {
		s.last = success
		return
	}
	name := baseName(plain)
	if strings.Contains(plain[0], "\x00") {
		s.opaque(i.source)
		s.works(i.call)
		return
	}
	if text, ok := s.written[plain[0]]; ok {
		s.inner(i.call, text, plain[1:], shellFlags{})
		return
	}
	w, refused, wraps := readWrapper(plain, s.environment(i.call))
	if refused != nil && !slices.Contains(s.refusals, *refused) {
		s.refusals = append(s.refusals, *refused)
	}
	if wraps {
		s.wrapped(i.call, w)
		return
	}
	if text, params, flags, ok := shellScript(plain); ok {
		s.inner(i.call, text, params, flags)
		return
	}
	if endless(i.words) {
		s.names[name] = true
		s.hang(endlessness{source: i.source})
		return
	}
	if helps(i.words, s.env) {
		s.names[name] = true
		s.hang(endlessness{i.source, true})
		return
	}
	if stops := append(stopsOf(i.words, i.source), s.sent(i.source)...); len(stops) > 0 {
		for _, stop := range stops {
			s.stop(stop)
		}
		return
	}
	if _, found := stopIn(i.source); found && s.swallowed == "" {
		s.swallowed = swallowed(i.words)
	}
	if known.ready.MatchString(i.source) && MayNeedNetwork(name) {
		s.last = success
		return
	}
	s.names[name] = true
	s.network = s.network || needsNetwork(i.words)
	switch {
	case !neutral[name] || s.anyWork:
		s.works(i.call)
	case s.tested > 0 && asking[name]:
		s.ask(i.source)
	default:
		s.last = success
	}
}

// environment returns the environment variables of a command as far as they are known. It
// includes variables that are not exported; they make no difference to the wrappers.
func (s *shell) environment(c *syntax.CallExpr) map[string]string {
	env := maps.Clone(s.env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, s.vars)
	for _, a := range c.Assigns {
		if a.Name != nil {
			env[a.Name.Value] = s.word(a.Value)
		}
	}
	return env
}

// stop records a call that stops a proxy.
func (s *shell) stop(stop Stop) {
	s.stops[stop] = true
	if s.withoutStops { // the call is left out, so $? stays
		s.last, s.justLeftOut, s.leftOut = s.previous, true, true
		return
	}
	s.found.stopped = true
	s.found.ahead = s.found.ahead || len(s.found.work) == 0 && !s.behind
	s.last = success
}

// works handles a command that does the script's work, so that its exit code counts.
func (s *shell) works(c *syntax.CallExpr) {
	if !slices.Contains(s.found.work, c) {
		s.found.work = append(s.found.work, c)
	}
	s.found.tooSoon = s.found.tooSoon || s.found.ahead && !s.anyWork
	s.last, s.check = success, c
	if s.fails == c {
		s.last = failure
	}
}

func (s *shell) wrapped(c *syntax.CallExpr, w Wrapper) {
	s.works(c)
	if w.Stops == Never {
		return
	}
	for _, call := range w.calls() {
		s.stops[call] = true
	}
	if w.Stops != OnSuccess || s.last == success { // no finding is reported where that is not known
		s.found.stopped = true
	}
}

// inner handles a shell that the script starts.
func (s *shell) inner(c *syntax.CallExpr, text string, params []string, flags shellFlags) {
	switch {
	case flags.stdin:
		text, params = s.input, nil
	case flags.file != "":
		text = s.written[flags.file]
	}
	if strings.Contains(text, "\x00") || text == "" && (flags.stdin || flags.file != "") {
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
	s.adopt(sub)
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
	s.params, s.left, s.returned = before, false, false
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
