package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A code is what a command ends with, as far as it matters here.
type code int

const (
	success code = iota
	// failure is the code of the one command that fails in this run.
	failure
	// other is any other code but 0.
	other
	// open is a code that cannot be known.
	open
)

// Values of variables that are no text.
const (
	failed  = "\x00code"
	unknown = Unknown
	job     = "\x00job"
)

// Unknown is the value of a variable that is set, but not in the manifest.
const Unknown = "\x00unknown"

func (c code) value() string {
	switch c {
	case success:
		return "0"
	case failure:
		return failed
	case other:
		return "1"
	}
	return unknown
}

func codeOf(value string) code {
	switch value {
	case "0":
		return success
	case failed:
		return failure
	}
	if strings.Contains(value, "\x00") || value == "" {
		return open
	}
	return other
}

// A world is one run of a script in which all that is not known has been decided:
// which command fails, whether tests that cannot be read are true, and whether the
// calls that stop a proxy are there at all.
type world struct {
	fails    *syntax.CallExpr
	truth    bool
	stopless bool
	// strict makes work of what else only prepares, for scripts that do nothing
	// more.
	strict bool
}

// shell is the state of one run. It is an interpreter that runs nothing: it walks
// a script the way a shell would and notes what would have been called.
type shell struct {
	*reader
	world
	vars    map[string]string
	params  []string
	funcs   map[string]*syntax.Stmt
	trap    string
	onError string // the ERR trap of bash
	errexit bool
	pipe    bool // set -o pipefail
	tested  int  // depth of conditions, where set -e does not count
	depth   int
	last    code
	job     code
	exited  bool
	left    bool // return, break, continue
	before  code // $? as the current command found it
	skipped bool // the last command was a stop that is not there
	glue    bool // such a stop was passed
	stopped *bool
	work    *[]*syntax.CallExpr
	out     *strings.Builder
}

// run walks a script and returns its exit code.
func (s *shell) run(file *syntax.File) code {
	s.stmts(file.Stmts)
	s.leave()
	return s.last
}

// leave runs the EXIT trap. The exit code stays, unless the trap exits itself.
func (s *shell) leave() {
	text := s.trap
	if text == "" {
		return
	}
	s.trap = ""
	before := s.last
	s.exited, s.left, s.errexit = false, false, false
	if file := s.parse(text); file != nil {
		s.stmts(file.Stmts)
	}
	if !s.exited {
		s.last = before
	}
	s.exited = true
}

func (s *shell) stmts(list []*syntax.Stmt) {
	for _, stmt := range list {
		if s.exited || s.left {
			return
		}
		s.stmt(stmt)
	}
}

func (s *shell) stmt(stmt *syntax.Stmt) {
	if !s.step() {
		s.exited = true
		return
	}
	if stmt.Background || stmt.Coprocess {
		sub := s.sub()
		sub.command(stmt.Cmd)
		sub.leave()
		s.job, s.last = sub.last, success
		return
	}
	if stmt.Negated {
		s.tested++
	}
	if stmt.Cmd != nil {
		s.command(stmt.Cmd)
	} else {
		s.last = success
	}
	if !stmt.Negated {
		if s.tested == 0 && !isList(stmt.Cmd) && (s.last == failure || s.last == other) {
			s.failed()
			s.exited = s.exited || s.errexit
		}
		return
	}
	s.tested--
	switch s.last {
	case success:
		s.last = other
	case failure, other:
		s.last = success
	}
}

// failed runs the ERR trap, which goes where set -e does. The code stays.
func (s *shell) failed() {
	text, before := s.onError, s.last
	if text == "" {
		return
	}
	s.onError = ""
	if file := s.parse(text); file != nil {
		s.stmts(file.Stmts)
	}
	if !s.exited {
		s.onError, s.last = text, before
	}
}

// isList recognises && and ||, whose last command has counted for set -e already.
func isList(cmd syntax.Command) bool {
	b, ok := cmd.(*syntax.BinaryCmd)
	return ok && (b.Op == syntax.AndStmt || b.Op == syntax.OrStmt)
}

// sub is a subshell: what it sets is its own, what it calls counts.
func (s *shell) sub() *shell {
	sub := *s
	sub.vars = make(map[string]string, len(s.vars))
	for k, v := range s.vars {
		sub.vars[k] = v
	}
	sub.trap, sub.onError = "", ""
	sub.depth++
	return &sub
}

func (s *shell) nested(list []*syntax.Stmt) code {
	sub := s.sub()
	if sub.depth > maxDepth {
		s.opaque("commands nested too deep")
		return open
	}
	sub.stmts(list)
	sub.leave()
	return sub.last
}

func (s *shell) condition(list []*syntax.Stmt) bool {
	s.tested++
	s.stmts(list)
	s.tested--
	return s.holds()
}

// holds tells whether the last command succeeded, where that can be known.
func (s *shell) holds() bool {
	if s.last == open {
		return s.truth
	}
	return s.last == success
}

func (s *shell) command(cmd syntax.Command) {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth {
		s.opaque("commands nested too deep")
		s.exited = true
		return
	}
	switch c := cmd.(type) {
	case *syntax.CallExpr:
		s.call(c)
	case *syntax.Block:
		s.stmts(c.Stmts)
	case *syntax.Subshell:
		s.last = s.nested(c.Stmts)
	case *syntax.BinaryCmd:
		s.binary(c)
	case *syntax.IfClause:
		s.ifClause(c)
	case *syntax.WhileClause:
		s.whileClause(c)
	case *syntax.ForClause:
		s.stmts(c.Do)
		s.left = false
	case *syntax.CaseClause:
		s.caseClause(c)
	case *syntax.FuncDecl:
		if c.Name != nil {
			s.funcs[c.Name.Value] = c.Body
		}
		s.last = success
	case *syntax.TimeClause:
		if c.Stmt != nil {
			s.stmt(c.Stmt)
		}
	case *syntax.DeclClause:
		s.last = success
		for _, a := range c.Args {
			s.assign(a)
		}
		// The declaration succeeds whatever the value came of.
		s.last = success
	case *syntax.TestClause, *syntax.ArithmCmd:
		s.last = s.test(cmd)
	default:
		s.last = success
	}
}

func (s *shell) binary(c *syntax.BinaryCmd) {
	switch c.Op {
	case syntax.AndStmt, syntax.OrStmt:
		s.tested++
		s.skipped = false
		s.stmt(c.X)
		s.tested--
		if s.exited || s.left || s.skipped {
			return
		}
		if s.holds() == (c.Op == syntax.AndStmt) {
			s.stmt(c.Y)
		}
	default: // a pipeline
		if stop, ok := stopByHand(s.text(c.X), s.text(c.Y)); ok {
			s.before = s.last
			s.stop(stop)
			return
		}
		left, right := s.sub(), s.sub()
		left.stmt(c.X)
		right.stmt(c.Y)
		s.last = right.last
		if s.pipe && s.last == success {
			s.last = left.last
		}
	}
}

func (s *shell) ifClause(c *syntax.IfClause) {
	for c != nil && !s.exited {
		if len(c.Cond) == 0 || s.condition(c.Cond) {
			s.last = success
			s.stmts(c.Then)
			return
		}
		c = c.Else
	}
	if !s.exited {
		s.last = success
	}
}

// A loop's body is walked once. One whose condition asks for a proxy's readiness
// waits for it without a bound.
func (s *shell) whileClause(c *syntax.WhileClause) {
	if text := s.text(c); ready.MatchString(s.textOf(c.Cond)) {
		s.waits = append(s.waits, firstLine(text))
		s.last = success
		return
	}
	if s.condition(c.Cond) != c.Until && !s.exited {
		s.stmts(c.Do)
	} else if !s.exited {
		s.last = success
	}
	s.left = false
}

func (s *shell) caseClause(c *syntax.CaseClause) {
	value := s.word(c.Word)
	s.last = success
	for i, item := range c.Items {
		for _, p := range item.Patterns {
			pattern := s.word(p)
			match := pattern == value || pattern == "*"
			if strings.Contains(value, "\x00") && value != failed {
				match = s.truth && i == 0 || pattern == "*"
			}
			if match {
				s.stmts(item.Stmts)
				return
			}
		}
	}
}
