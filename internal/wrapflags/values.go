package wrapflags

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// Codes are exit codes: the listed ones, or all except those.
type Codes struct {
	Listed []int
	But    bool
}

// Has reports whether a code is one of them. The zero value has no code.
func (c Codes) Has(code int) bool { return slices.Contains(c.Listed, code) != c.But }

// parseCodes parses 42,88 or !0,1.
func parseCodes(text string) (Codes, error) {
	list, but := strings.CutPrefix(text, "!")
	c := Codes{But: but}
	for item := range strings.SplitSeq(list, ",") {
		// The field exitCodes.values of a rule accepts any 32-bit number, also one with which
		// no process on Linux ends.
		code, err := strconv.ParseUint(strings.TrimSpace(item), 10, 31)
		if err != nil {
			return Codes{}, errors.New(strconv.Quote(text) + " is not a list of exit codes such as 42,88 or !0,1")
		}
		c.Listed = append(c.Listed, int(code))
	}
	return c, nil
}

// signals are the signals that --stop-process may send. Their numbers are those of Linux on
// every platform of the wrapper.
var signals = []struct {
	name   string
	number int
}{
	{"TERM", 15}, {"INT", 2}, {"QUIT", 3}, {"HUP", 1}, {"KILL", 9}, {"USR1", 10}, {"USR2", 12}, {"ABRT", 6}, {"ALRM", 14},
}

// SignalNumber returns the number of a StopSignal on Linux, and that of TERM for "".
func SignalNumber(name string) int {
	for _, s := range signals {
		if s.name == name {
			return s.number
		}
	}
	return signals[0].number
}

// parseProcess parses NAME or NAME=SIGNAL. A signal may have SIG in front; it is returned
// without.
func parseProcess(text string) (name, signal string, err error) {
	name, signal, given := text, "", false
	if i := strings.LastIndexByte(text, '='); i >= 0 {
		name, signal, given = text[:i], strings.TrimPrefix(text[i+1:], "SIG"), true
	}
	if name == "" || strings.Contains(name, "/") {
		return "", "", errors.New(strconv.Quote(text) + " is not the name of a process, with the signal behind a = where it is not TERM")
	}
	var names []string
	for _, s := range signals {
		if !given || s.name == signal {
			return name, signal, nil
		}
		names = append(names, s.name)
	}
	return "", "", errors.New(strconv.Quote(text) + ": the signal is not one of " + strings.Join(names, ", "))
}

// isContainerName tells whether a text can be the name of a container: a DNS label (RFC 1123).
func isContainerName(text string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	return text != "" && len(text) <= 63 && strings.Trim(text, letters+"-") == "" && strings.Trim(text, "-") == text
}

// appendNew appends a word that the list does not contain yet.
func appendNew(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

// A Misspelling is a variable that the wrapper does not read, and the one that may be meant.
type Misspelling struct{ Name, Meant string }

// Misspelt returns the variables that look like those of the wrapper, but are not. A longer
// variable with the same prefix is ignored, because Kubernetes sets JOBMESH_SERVICE_HOST for a
// Service named jobmesh.
func Misspelt(names []string) []Misspelling {
	var own []string
	for _, s := range settings {
		own = append(own, s.Variable())
	}
	for _, m := range mesh.All() {
		if m.Annotation == "" {
			continue
		}
		own = append(own, m.Variable())
		for _, w := range m.NativeVariables() {
			own = append(own, w.Variable)
		}
	}
	for i := range own {
		own[i] = strings.TrimPrefix(own[i], VariablePrefix)
	}
	var found []Misspelling
	for _, name := range names {
		// The prefix is right, so only the text behind it is compared.
		rest, ours := strings.CutPrefix(name, VariablePrefix)
		if !ours || slices.Contains(own, rest) {
			continue
		}
		if meant, near := nearest.Guess(rest, own); near {
			found = append(found, Misspelling{name, VariablePrefix + meant})
		}
	}
	return found
}
