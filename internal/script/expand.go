package script

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// words expands the arguments of a command. "$@" becomes several words.
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

// splits tells whether a shell splits one word into several: where an expansion stands outside
// of quotes, and the word has no quoted part.
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

// word expands one word as far as its value is known. An unknown part is replaced by the mark
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
			return // such a word may double with each line
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
	if p.Param != nil && p.Param.Value == "PIPESTATUS" && p.Exp == nil && !p.Length {
		return s.pipeStatus(p)
	}
	if p.Param == nil || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Length || p.Width || p.Excl {
		return unknown
	}
	value, known := s.lookup(p.Param.Value)
	if p.Exp == nil {
		if !known {
			// The image's environment is not in the manifest.
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
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		if known {
			return value
		}
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if known && !strings.Contains(value, "\x00") {
			if value == "" {
				return ""
			}
			return s.word(p.Exp.Word)
		}
	}
	return unknown
}

// pipeStatus returns the code of a command in the last pipeline, or the codes of all of them.
func (s *shell) pipeStatus(p *syntax.ParamExp) string {
	index := "0"
	if w, ok := p.Index.(*syntax.Word); ok {
		index = s.word(w)
	}
	if index == "@" || index == "*" {
		var all []string
		for _, c := range s.pipes {
			all = append(all, c.value())
		}
		return strings.Join(all, " ")
	}
	n, err := strconv.Atoi(index)
	if err != nil || n < -len(s.pipes) {
		return unknown
	}
	if n < 0 {
		n += len(s.pipes)
	}
	if n >= len(s.pipes) {
		return ""
	}
	return s.pipes[n].value()
}

func (s *shell) lookup(name string) (string, bool) {
	switch name {
	case "?":
		return s.last.value(), true
	case "!":
		return job + strconv.Itoa(len(*s.jobs)), true
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

// substitute walks $(...). Its output is known where only echo prints.
func (s *shell) substitute(p *syntax.CmdSubst) string {
	sub := s.sub()
	if sub.depth > maxDepth {
		s.opaque("commands nested too deep")
		return unknown
	}
	var out strings.Builder
	sub.out = &out
	sub.stmts(p.Stmts)
	sub.leave()
	s.last = sub.last
	if sub.hung.source != "" {
		s.hang(sub.hung)
	}
	if out.Len() > 0 && len(p.Stmts) == 1 {
		if call, ok := p.Stmts[0].Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			if name := call.Args[0].Lit(); name == "echo" || name == "printf" || name == "cat" {
				return out.String()
			}
		}
	}
	return unknown
}

// test evaluates [[ ]] and (( )) where both compared values are known.
func (s *shell) test(cmd syntax.Command) code {
	t, ok := cmd.(*syntax.TestClause)
	if !ok {
		return s.arithmetic(cmd)
	}
	return s.testExpression(t.X)
}

func (s *shell) testExpression(x syntax.TestExpr) code {
	switch x := x.(type) {
	case *syntax.ParenTest:
		return s.testExpression(x.X)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsNot {
			return not(s.testExpression(x.X))
		}
		if w, ok := x.X.(*syntax.Word); ok {
			return s.testWords([]string{x.Op.String(), s.word(w)})
		}
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.AndTest:
			return both(s.testExpression(x.X), s.testExpression(x.Y))
		case syntax.OrTest:
			return not(both(not(s.testExpression(x.X)), not(s.testExpression(x.Y))))
		}
		a, ok1 := x.X.(*syntax.Word)
		b, ok2 := x.Y.(*syntax.Word)
		if ok1 && ok2 {
			return s.compare([]string{s.word(a), x.Op.String(), s.word(b)})
		}
	case *syntax.Word:
		return s.testWords([]string{"-n", s.word(x)})
	}
	return open
}

func not(c code) code {
	switch c {
	case success:
		return other
	case failure, other:
		return success
	}
	return open
}

func both(a, b code) code {
	switch {
	case a == other || b == other:
		return other
	case a == open || b == open:
		return open
	}
	return success
}

// arithmetic evaluates (( rc != 0 )) and similar expressions.
func (s *shell) arithmetic(cmd syntax.Command) code {
	a, ok := cmd.(*syntax.ArithmCmd)
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
	b, ok := a.X.(*syntax.BinaryArithm)
	if !ok {
		return s.compare([]string{operand(a.X), "!=", "0"})
	}
	return s.compare([]string{operand(b.X), b.Op.String(), operand(b.Y)})
}

// testWords evaluates the words of [ or test.
func (s *shell) testWords(words []string) code {
	if n := len(words); n > 0 && words[n-1] == "]" {
		words = words[:n-1]
	}
	if len(words) > 0 && words[0] == "!" {
		return not(s.testWords(words[1:]))
	}
	if len(words) == 1 {
		words = []string{"-n", words[0]}
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

// opposite maps a test operator to the one with the opposite meaning.
var opposite = map[string]string{"-z": "-n", "!=": "=", "-ne": "-eq", "==": "="}

// canonical returns a test in the form that it shares with its opposite, so that both are
// decided together, and says whether it is the opposite.
func canonical(test string) (text string, negated bool) {
	words := strings.Fields(test)
	if n := len(words); n > 1 {
		switch {
		case words[0] == "[" && words[n-1] == "]", words[0] == "[[" && words[n-1] == "]]":
			words = words[1 : n-1]
		case words[0] == "test":
			words = words[1:]
		}
	}
	for len(words) > 0 && words[0] == "!" {
		words, negated = words[1:], !negated
	}
	for i, w := range words {
		if other, ok := opposite[w]; ok && len(words) <= 3 {
			words[i] = other
			if w != "==" {
				negated = !negated
			}
		}
	}
	return strings.Join(words, " "), negated
}

// compare evaluates the tests that scripts make on exit codes.
func (s *shell) compare(words []string) code {
	negate := false
	for len(words) > 0 && words[0] == "!" {
		words, negate = words[1:], !negate
	}
	if len(words) != 3 {
		return open
	}
	// The code of a failed command is some number above 0.
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
