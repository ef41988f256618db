package script

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A code is the exit code of a command, as far as it matters here.
type code int

const (
	success code = iota
	// failure is the code of the one command that fails in this run.
	failure
	// other is any other code except 0.
	other
	// open is a code that is not known.
	open
)

// These are values of variables that are not plain text. Behind job stands the number of a
// background command.
const (
	failed  = "\x00code"
	unknown = Unknown
	job     = "\x00job"
)

// Unknown is the value of a variable that is set to something that the manifest does not
// contain.
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

// shell is the state of one run. It is an interpreter that executes nothing: it walks a script
// as a shell would, and records the calls that would be made.
type shell struct {
	*reader
	world

	// These are set by the script.
	vars    map[string]string
	params  []string // $1 and on
	funcs   map[string]*syntax.Stmt
	trap    string // of EXIT
	onError string // the ERR trap of bash
	errexit bool   // set -e
	pipe    bool   // set -o pipefail

	// These describe the place of the walk.
	tested   int         // conditions around this command, in which set -e does not count
	depth    int         // commands around this one, which maxDepth bounds
	exited   bool        // exit was called, or set -e ended the script
	left     bool        // break or continue was called
	again    bool        // it was continue
	returned bool        // return was called
	apart    bool        // a subshell, whose exit is not that of the script
	behind   bool        // it runs in the background
	hung     endlessness // the command that never ends

	// These are exit codes.
	last     code   // $?
	previous code   // $? as the current command found it
	pipes    []code // PIPESTATUS
	// jobs are the background commands, for wait; subshells share them.
	jobs *[]ended
	// question is the test that gave the code open; negated says that its text has the opposite
	// meaning.
	question string
	negated  bool
	// check is the last command that did work, as far as it may be a test.
	check *syntax.CallExpr

	// These are standard input and output. input is the text that the current command reads;
	// ports are the file descriptors that bash has connected to a port of the pod.
	input string
	ports map[string]string

	// These describe the stops that withoutStops has left out. justLeftOut says that the last
	// command was one, so that a command joined to it by && or || is left out too. leftOut says
	// that there was one, so that an exit 0 behind it is left out too.
	justLeftOut bool
	leftOut     bool

	// found is the result of the run; all subshells share it.
	found *run

	// out gets what echo prints inside $(...); it is nil elsewhere.
	out *strings.Builder
}

// endlessness is a command that never ends: its text, "" where there is none, and whether it is
// a helper.
type endlessness struct {
	source string
	helper bool
}

// ended is a background command: its code, and the endless command in it.
type ended struct {
	code    code
	endless endlessness
}

// over tells whether the walk does not continue with the next command.
func (s *shell) over() bool { return s.exited || s.left || s.returned }

// hang records a command that never ends: neither a command behind it nor a trap runs.
func (s *shell) hang(on endlessness) {
	s.exited, s.trap, s.hung = true, "", endlessness{firstLine(on.source), on.helper}
}

// run walks a script and returns its exit code.
func (s *shell) run(file *syntax.File) code {
	s.stmts(file.Stmts)
	s.leave()
	if s.hung.source != "" {
		return open // the text is not a script
	}
	return s.last
}

// leave runs the EXIT trap. The exit code stays, unless the trap itself exits.
func (s *shell) leave() {
	text := s.trap
	if text == "" {
		return
	}
	s.trap = ""
	before := s.last
	exit, hung := s.found.exit, s.hung
	s.exited, s.left, s.returned, s.errexit, s.hung = false, false, false, false, endlessness{}
	if file := s.parse(text); file != nil {
		s.stmts(file.Stmts)
	}
	if s.hung.source == "" {
		s.hung = hung
	}
	if exit != nil && !s.apart {
		s.found.exit = exit
	}
	if !s.exited {
		s.last = before
	}
	s.exited = true
}

func (s *shell) stmts(list []*syntax.Stmt) {
	for _, stmt := range list {
		if s.over() {
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
	if len(stmt.Redirs) > 0 {
		defer s.redirect(stmt)()
	}
	if stmt.Background || stmt.Coprocess {
		sub := s.sub()
		sub.behind = true
		sub.command(stmt.Cmd)
		sub.leave()
		*s.jobs = append(*s.jobs, ended{sub.last, sub.hung})
		s.last = success
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
	s.settle()
	switch s.last {
	case success:
		s.last = other
	case failure, other:
		s.last = success
	}
}

// settle decides a code that is not known.
func (s *shell) settle() {
	if s.last != open {
		return
	}
	s.last = other
	if s.decide(s.question) != s.negated {
		s.last = success
	}
}

// decide returns the result that an unknown test has in this world.
func (s *shell) decide(test string) bool {
	if !slices.Contains(s.found.asked, test) {
		s.found.asked = append(s.found.asked, test)
	}
	truth, decided := s.truth[test]
	return truth || !decided
}

// ask sets the code of a test whose result is not known.
func (s *shell) ask(test string) {
	s.last = open
	s.question, s.negated = canonical(test)
}

// failed runs the ERR trap, which runs wherever set -e applies. The code stays.
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

// isList recognises && and ||, whose last command has been counted for set -e already.
func isList(cmd syntax.Command) bool {
	b, ok := cmd.(*syntax.BinaryCmd)
	return ok && (b.Op == syntax.AndStmt || b.Op == syntax.OrStmt)
}

// sub returns a subshell: its variables are its own, and its calls count.
func (s *shell) sub() *shell {
	sub := *s
	sub.vars = make(map[string]string, len(s.vars))
	for k, v := range s.vars {
		sub.vars[k] = v
	}
	sub.trap, sub.onError = "", ""
	sub.ports = maps.Clone(s.ports)
	sub.apart = true
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
	s.adopt(sub)
	return sub.last
}

// adopt takes over the results of a foreground subshell, apart from its code.
func (s *shell) adopt(sub *shell) {
	s.question, s.negated, s.check = sub.question, sub.negated, sub.check
	if sub.hung.source != "" {
		s.hang(sub.hung)
	}
}

// condition walks the commands that decide what is run next. A work command in a condition may
// be a check, which may return either result without having failed.
func (s *shell) condition(list []*syntax.Stmt) bool {
	s.tested++
	s.check = nil
	s.stmts(list)
	s.tested--
	s.mayCheck()
	return s.holds()
}

func (s *shell) mayCheck() {
	c := s.check
	s.check = nil
	if c == nil || s.fails == c || s.last != success {
		return
	}
	s.found.checks = append(s.found.checks, c)
	if !s.decide(s.text(c)) {
		s.last = other
	}
}

// holds tells whether the last command succeeded, where that is known.
func (s *shell) holds() bool {
	s.settle()
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
		s.forClause(c)
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
		// The declaration succeeds whatever the code of the substitution is.
		s.last = success
	case *syntax.TestClause, *syntax.ArithmCmd:
		if s.last = s.test(cmd); s.last == open {
			s.ask(s.text(cmd))
		}
	default:
		s.last = success
	}
}

func (s *shell) binary(c *syntax.BinaryCmd) {
	switch c.Op {
	case syntax.AndStmt, syntax.OrStmt:
		s.tested++
		s.justLeftOut, s.check = false, nil
		s.stmt(c.X)
		s.tested--
		if s.over() || s.justLeftOut {
			return
		}
		if leaves(c.Y) {
			s.mayCheck()
		}
		if s.holds() == (c.Op == syntax.AndStmt) {
			s.stmt(c.Y)
		}
	default:
		s.pipeline(c)
	}
}

// leaves tells whether a command is an exit, or a group that contains one.
func leaves(stmt *syntax.Stmt) bool {
	found := false
	syntax.Walk(stmt, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "exit" {
			found = true
		}
		return !found
	})
	return found
}

// stagesOf returns the commands of a pipeline.
func stagesOf(c *syntax.BinaryCmd) []*syntax.Stmt {
	var stages []*syntax.Stmt
	for _, side := range []*syntax.Stmt{c.X, c.Y} {
		if more, ok := side.Cmd.(*syntax.BinaryCmd); ok && (more.Op == syntax.Pipe || more.Op == syntax.PipeAll) && !side.Negated && len(side.Redirs) == 0 {
			stages = append(stages, stagesOf(more)...)
		} else {
			stages = append(stages, side)
		}
	}
	return stages
}

func (s *shell) pipeline(c *syntax.BinaryCmd) {
	stages := stagesOf(c)
	s.previous = s.last
	if last := len(stages) - 1; last > 0 {
		if stop, ok := stopByHand(s.text(stages[last-1]), s.text(stages[last])); ok {
			s.stop(stop)
			return
		}
	}
	var codes []code
	piped := ""
	var hung endlessness
	for i, stage := range stages {
		sub := s.sub()
		var out strings.Builder
		if i < len(stages)-1 {
			sub.out = &out
		}
		if i > 0 {
			sub.input = piped
		}
		sub.stmt(stage)
		sub.leave()
		piped = ""
		if prints(stage) {
			piped = out.String()
		}
		codes = append(codes, sub.last)
		if sub.hung.source != "" && (i == len(stages)-1 || !endsEarly(stages[i+1])) {
			hung = sub.hung
		}
		s.question, s.negated, s.justLeftOut, s.leftOut = sub.question, sub.negated, sub.justLeftOut, s.leftOut || sub.leftOut
	}
	s.last, s.pipes = codes[len(codes)-1], codes
	for _, c := range codes {
		if s.pipe && s.last == success && c != success {
			s.last = c
		}
	}
	if hung.source != "" {
		s.hang(hung)
	}
}

// prints tells whether the whole output of a command is known.
func prints(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) > 0 && slices.Contains([]string{"echo", "printf", "cat"}, call.Args[0].Lit())
}

// endsEarly tells whether a command may end before its input does. The next line that is
// written to it then ends the writer.
func endsEarly(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return true
	}
	return slices.Contains([]string{"head", "grep", "egrep", "sed", "awk", "read"}, call.Args[0].Lit())
}

func (s *shell) ifClause(c *syntax.IfClause) {
	for c != nil && !s.exited {
		before := s.last
		if len(c.Cond) == 0 || s.condition(c.Cond) {
			s.last, s.justLeftOut = success, false
			s.stmts(c.Then)
			if s.justLeftOut && onlyOne(c.Then) { // such a test was added together with the call
				s.last = before
			}
			return
		}
		c = c.Else
	}
	if !s.exited {
		s.last = success
	}
}

func onlyOne(list []*syntax.Stmt) bool { return len(list) == 1 }

// forClause walks the body once for each word of a short list, and once where the words are not
// known.
func (s *shell) forClause(c *syntax.ForClause) {
	words := []string{unknown}
	var name string
	switch loop := c.Loop.(type) {
	case *syntax.WordIter:
		name = loop.Name.Value
		if loop.InPos.IsValid() {
			if listed := s.words(loop.Items); len(listed) > 0 && len(listed) <= 4 {
				words = listed
			}
		}
	case *syntax.CStyleLoop:
		if loop.Cond == nil {
			s.loop(c, c.Do)
			return
		}
	}
	for _, w := range words {
		if name != "" {
			s.vars[name] = w
		}
		s.stmts(c.Do)
		leaving := s.left && !s.again
		s.left, s.again = false, false
		if leaving || s.over() {
			return
		}
	}
}

// The body of a loop is walked once. A loop whose condition asks for a proxy's readiness waits
// for that without a limit.
func (s *shell) whileClause(c *syntax.WhileClause) {
	if text := s.text(c); known.ready.MatchString(s.textOf(c.Cond)) {
		s.waits = append(s.waits, firstLine(text))
		s.last = success
		return
	}
	always := alike(c.Cond)
	holds := s.condition(c.Cond)
	switch {
	case s.exited:
	case holds == c.Until:
		s.last = success
	case always:
		s.loop(c, c.Do)
	default:
		s.stmts(c.Do)
	}
	s.left, s.again = false, false
}

// loop walks the body of a loop whose condition never ends it. Such a loop never ends unless a
// command in the body can leave it.
func (s *shell) loop(c syntax.Command, body []*syntax.Stmt) {
	s.stmts(body)
	if !s.over() && !s.mayLeave(body, nil) {
		s.hang(endlessness{source: s.text(c)})
	}
	s.left, s.again = false, false
}

// alike tells whether a condition has the same result each time.
func alike(list []*syntax.Stmt) bool {
	for _, stmt := range list {
		switch c := stmt.Cmd.(type) {
		case *syntax.CallExpr:
			if len(c.Args) == 0 || !slices.Contains([]string{"true", ":", "false", "sleep", "[", "test", "echo", "date"}, c.Args[0].Lit()) || !constant(c) {
				return false
			}
		case *syntax.TestClause, *syntax.ArithmCmd:
			if !constant(c) {
				return false
			}
		default:
			return false
		}
	}
	return len(list) > 0
}

// constant tells whether a test cannot change from one time to the next, because it reads
// neither variables nor files.
func constant(c syntax.Node) bool {
	same := true
	syntax.Walk(c, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst:
			same = false
		case *syntax.Word:
			same = same && !strings.HasPrefix(n.Lit(), "-") && !strings.HasPrefix(n.Lit(), "/") && n.Lit() != "!"
		case *syntax.UnaryTest:
			same = false
		}
		return same
	})
	return same
}

// checks are commands that fail when the thing that they check has gone; with set -e they then
// end a loop.
var checks = []string{"[", "test", "kill", "pgrep", "pidof", "grep", "curl", "wget", "nc", "pg_isready", "ps"}

// mayLeave tells whether a command in the body of a loop can end the loop.
func (s *shell) mayLeave(body []*syntax.Stmt, seen []string) bool {
	found := false
	leaves := func(list []*syntax.Stmt) bool { return s.mayLeave(list, seen) }
	for _, stmt := range body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			if found {
				return false
			}
			switch n := n.(type) {
			case *syntax.Subshell, *syntax.CmdSubst:
				return false
			case *syntax.WhileClause:
				found = !onlyBreaks(n.Do) && leaves(n.Do)
				return false
			case *syntax.ForClause:
				found = !onlyBreaks(n.Do) && leaves(n.Do)
				return false
			case *syntax.CallExpr:
				found = s.callLeaves(n, seen)
			}
			return !found
		})
	}
	return found
}

// onlyBreaks tells whether the only way out of an inner loop is a break, which does not leave
// the outer one.
func onlyBreaks(body []*syntax.Stmt) bool {
	only := true
	for _, stmt := range body {
		syntax.Walk(stmt, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
				name := call.Args[0].Lit()
				only = only && name != "exit" && name != "return" && name != "exec" && name != "kill" && name != ""
			}
			return only
		})
	}
	return only
}

func (s *shell) callLeaves(c *syntax.CallExpr, seen []string) bool {
	if len(c.Args) == 0 {
		return false
	}
	name := c.Args[0].Lit()
	switch name {
	case "break", "exit", "return", "exec", "eval", ".", "source":
		return true
	case "kill":
		return true // the signal may be meant for the shell itself
	}
	if s.errexit && slices.Contains(checks, name) {
		return true
	}
	body, ok := s.funcs[name]
	return ok && !slices.Contains(seen, name) && s.mayLeave([]*syntax.Stmt{body}, append(slices.Clone(seen), name))
}

func (s *shell) caseClause(c *syntax.CaseClause) {
	value := s.word(c.Word)
	s.last = success
	for _, item := range c.Items {
		for _, p := range item.Patterns {
			pattern := s.word(p)
			match := pattern == value || pattern == "*"
			if strings.Contains(value, "\x00") && value != failed && pattern != "*" {
				match = s.decide(s.text(c.Word) + " = " + s.text(p))
			}
			if match {
				s.stmts(item.Stmts)
				return
			}
		}
	}
}
