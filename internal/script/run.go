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

// A world is one run of a script in which all that is not known has been decided.
type world struct {
	// fails is the one command that fails, nil for none.
	fails *syntax.CallExpr
	// truth is what tests that cannot be read come out as.
	truth bool
	// withoutStops leaves out the calls that stop a proxy: the exit code is then what
	// it would be if nobody had added them.
	withoutStops bool
	// anyWork makes work of commands that otherwise only prepare, such as cp, for
	// scripts that do nothing more.
	anyWork bool
}

// shell is the state of one run. It is an interpreter that runs nothing: it walks
// a script the way a shell would and notes what would have been called.
type shell struct {
	*reader
	world

	// What the script has set.
	vars    map[string]string
	params  []string // $1 and on
	funcs   map[string]*syntax.Stmt
	trap    string // of EXIT
	onError string // the ERR trap of bash
	errexit bool   // set -e
	pipe    bool   // set -o pipefail

	// Where the walk is.
	tested int  // conditions around this command, in which set -e does not count
	depth  int  // commands around this one, which maxDepth bounds
	exited bool // exit was called, or set -e ended the script
	left   bool // return, break or continue was called

	// Exit codes.
	last     code // $?
	previous code // $? as the current command found it
	job      code // of the last command in the background, for wait

	// What withoutStops has left out: justLeftOut says that it was the last command, so
	// that what && or || joins to it goes too; leftOut that there was any, so that an
	// exit 0 behind it goes too.
	justLeftOut bool
	leftOut     bool

	// What the run finds, shared by all of its subshells: whether a proxy was
	// stopped, and the commands that are the script's work.
	stopped *bool
	work    *[]*syntax.CallExpr

	// out takes what echo prints inside $(...), nil elsewhere.
	out *strings.Builder
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
		s.justLeftOut = false
		s.stmt(c.X)
		s.tested--
		if s.exited || s.left || s.justLeftOut {
			return
		}
		if s.holds() == (c.Op == syntax.AndStmt) {
			s.stmt(c.Y)
		}
	default: // a pipeline
		if stop, ok := stopByHand(s.text(c.X), s.text(c.Y)); ok {
			s.previous = s.last
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
	if text := s.text(c); known.ready.MatchString(s.textOf(c.Cond)) {
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
