package script

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// connection matches a file name by which bash connects to a port of the pod.
var connection = regexp.MustCompile(`^/dev/tcp/(localhost|127\.[0-9.]+|\[?::1\]?|\x00unknown)/([0-9]+)$`)

// redirect records where a command's input comes from and where its output goes. The function
// that it returns reverts that; for exec it is not called, so that the redirection holds for
// the following commands.
func (s *shell) redirect(stmt *syntax.Stmt) (restore func()) {
	input, ports, out := s.input, s.ports, s.out
	next := map[string]string{}
	for fd, port := range ports {
		next[fd] = port
	}
	file := ""
	for _, r := range stmt.Redirs {
		fd := "1"
		if r.Op == syntax.RdrIn || r.Op == syntax.RdrInOut || r.Op == syntax.DplIn {
			fd = "0"
		}
		if r.N != nil {
			fd = r.N.Value
		}
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			s.input = s.word(r.Hdoc)
		case syntax.WordHdoc:
			s.input = s.word(r.Word)
		case syntax.DplOut, syntax.DplIn:
			if port, ok := next[s.word(r.Word)]; ok {
				next[fd] = port
			}
		default:
			target := s.word(r.Word)
			delete(next, fd)
			if to := connection.FindStringSubmatch(target); to != nil {
				next[fd] = to[2]
			} else if fd == "1" && !strings.Contains(target, "\x00") {
				file = target
			}
			if fd == "0" {
				s.input = s.written[target]
			}
		}
	}
	s.ports = next
	var printed strings.Builder
	if _, connected := next["1"]; (connected || file != "") && prints(stmt) {
		s.out = &printed
	}
	return func() {
		if text := printed.String(); text != "" {
			if _, connected := s.ports["1"]; !connected {
				s.written[file] = text
			}
		}
		s.input, s.out = input, out
		if call, ok := stmt.Cmd.(*syntax.CallExpr); !ok || len(call.Args) != 1 || call.Args[0].Lit() != "exec" {
			s.ports = ports
		}
	}
}

// sent returns the stop that a client of plain connections, such as nc, sends from its standard
// input.
func (s *shell) sent(source string) []Stop {
	if s.input == "" {
		return nil
	}
	if stop, ok := stopByHand(s.input, source); ok {
		return []Stop{stop}
	}
	return nil
}

// writes records the output of a command: for $(...), for a file, or for a connection.
func (s *shell) writes(text string) {
	if s.out != nil {
		s.out.WriteString(text)
	}
	port, connected := s.ports["1"]
	if !connected {
		return
	}
	if stop, ok := request("bash", port, text); ok {
		s.unsure = s.unsure || s.dash
		s.stop(stop)
	}
}
