package script

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// words expands the arguments of a command. "$@" becomes several.
func (s *shell) words(args []*syntax.Word) []string {
	var out []string
	for _, w := range args {
		if isAll(w) {
			if len(out) < maxWord {
				out = append(out, s.params...)
			}
			continue
		}
		if word := s.word(w); splits(w) {
			out = append(out, strings.Fields(word)...)
		} else {
			out = append(out, word)
		}
	}
	return out
}

// splits tells whether a shell makes several words of one: where what is expanded
// stands outside of quotes, and nothing is in them.
func splits(w *syntax.Word) bool {
	expands := false
	for _, part := range w.Parts {
		switch part.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst:
			expands = true
		case *syntax.Lit:
		default:
			return false
		}
	}
	return expands
}

func isAll(w *syntax.Word) bool {
	parts := w.Parts
	if len(parts) == 1 {
		if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = quoted.Parts
		}
	}
	if len(parts) != 1 {
		return false
	}
	p, ok := parts[0].(*syntax.ParamExp)
	return ok && p.Param != nil && (p.Param.Value == "@" || p.Param.Value == "*") && p.Exp == nil
}

// word expands one word as far as it can be known; what cannot is left in it as
// unknown.
func (s *shell) word(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	s.parts(&b, w.Parts)
	if b.Len() > maxWord {
		return unknown
	}
	return b.String()
}

func (s *shell) parts(b *strings.Builder, parts []syntax.WordPart) {
	for _, part := range parts {
		if b.Len() > maxWord {
			return // a word that doubles with each line
		}
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			s.parts(b, p.Parts)
		case *syntax.ParamExp:
			b.WriteString(s.param(p))
		case *syntax.CmdSubst:
			b.WriteString(s.substitute(p))
		default:
			b.WriteString(unknown)
		}
	}
}

func (s *shell) param(p *syntax.ParamExp) string {
	if p.Param == nil || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Length || p.Width || p.Excl {
		return unknown
	}
	value, known := s.lookup(p.Param.Value)
	if p.Exp == nil {
		if !known {
			// The environment of the image is not in the manifest.
			return unknown
		}
		return value
	}
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if known && value != "" {
			return value
		}
		return s.word(p.Exp.Word)
	}
	return unknown
}

func (s *shell) lookup(name string) (string, bool) {
	switch name {
	case "?":
		return s.last.value(), true
	case "!":
		return job, true
	case "@", "*":
		if len(s.params) > maxWord {
			return unknown, true
		}
		return strings.Join(s.params, " "), true
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n > 0 && n <= len(s.params) {
			return s.params[n-1], true
		}
		return "", n > 0
	}
	if value, ok := s.vars[name]; ok {
		return value, true
	}
	value, ok := s.env[name]
	return value, ok
}

// substitute walks $(...). What it prints is known where only echo prints.
func (s *shell) substitute(p *syntax.CmdSubst) string {
	sub := s.sub()
	if sub.depth > maxDepth {
		s.opaque("commands nested too deep")
		return unknown
	}
	var out strings.Builder
	sub.out = &out
	sub.stmts(p.Stmts)
	s.last = sub.last
	if out.Len() > 0 && len(p.Stmts) == 1 {
		if call, ok := p.Stmts[0].Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			if name := call.Args[0].Lit(); name == "echo" || name == "printf" {
				return out.String()
			}
		}
	}
	return unknown
}

// test evaluates [[ ]] and (( )) where they compare two values that are known.
func (s *shell) test(cmd syntax.Command) code {
	t, ok := cmd.(*syntax.TestClause)
	if !ok {
		return s.arithmetic(cmd)
	}
	b, ok := t.X.(*syntax.BinaryTest)
	if !ok {
		return open
	}
	x, ok1 := b.X.(*syntax.Word)
	y, ok2 := b.Y.(*syntax.Word)
	if !ok1 || !ok2 {
		return open
	}
	return s.compare([]string{s.word(x), b.Op.String(), s.word(y)})
}

// arithmetic evaluates (( rc != 0 )) and its like.
func (s *shell) arithmetic(cmd syntax.Command) code {
	a, ok := cmd.(*syntax.ArithmCmd)
	if !ok {
		return open
	}
	b, ok := a.X.(*syntax.BinaryArithm)
	if !ok {
		return open
	}
	operand := func(e syntax.ArithmExpr) string {
		w, ok := e.(*syntax.Word)
		if !ok {
			return unknown
		}
		if name := w.Lit(); name != "" && !strings.ContainsAny(name[:1], "0123456789") {
			value, known := s.lookup(name)
			if !known {
				return unknown
			}
			return value
		}
		return s.word(w)
	}
	return s.compare([]string{operand(b.X), b.Op.String(), operand(b.Y)})
}

// testWords evaluates the words of [ or test.
func (s *shell) testWords(words []string) code {
	if n := len(words); n > 0 && words[n-1] == "]" {
		words = words[:n-1]
	}
	if len(words) != 2 || words[0] != "-z" && words[0] != "-n" {
		return s.compare(strings.Fields(strings.Join(words, " ")))
	}
	if words[1] != failed && strings.Contains(words[1], "\x00") {
		return open
	}
	if (words[1] == "") == (words[0] == "-z") {
		return success
	}
	return other
}

// compare evaluates the tests that scripts make of exit codes.
func (s *shell) compare(words []string) code {
	negate := false
	for len(words) > 0 && words[0] == "!" {
		words, negate = words[1:], !negate
	}
	if len(words) != 3 {
		return open
	}
	// The code of a command that fails is some number above 0.
	number := func(value string) (int, bool) {
		n, err := strconv.Atoi(value)
		return n, err == nil
	}
	x, known := number(words[0])
	y, alsoKnown := number(words[2])
	switch {
	case words[0] == failed && alsoKnown && y <= 0, words[0] == failed && words[2] == failed:
		x = 1
		if words[2] == failed {
			y = 1
		}
	case words[2] == failed && known && x <= 0:
		y = 1
	case !known || !alsoKnown:
		return open
	}
	var holds bool
	switch words[1] {
	case "-eq", "=", "==":
		holds = x == y
	case "-ne", "!=":
		holds = x != y
	case "-gt", ">":
		holds = x > y
	case "-ge", ">=":
		holds = x >= y
	case "-lt", "<":
		holds = x < y
	case "-le", "<=":
		holds = x <= y
	default:
		return open
	}
	if holds != negate {
		return success
	}
	return other
}
