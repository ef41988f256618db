package script

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxName is the number of characters that the kernel keeps of a program's name. pkill and
// pgrep match that name, unless -f asks for the whole command line.
const maxName = 15

// A selection says how a command picks the processes that it ends: by a pattern, as pkill and
// pgrep do, or by the whole name, as killall and pidof do.
type selection struct {
	patterns           []string
	exact, full, folds bool
	// nothing says that no signal is sent, and inverts says that all other processes get it.
	nothing, inverts bool
}

// selectionOf reads the arguments of pkill, pgrep, killall or pidof.
func selectionOf(tool string, args []string) selection {
	s := selection{exact: tool == "killall" || tool == "pidof"}
	valued := "suUGgPtLFn"
	if tool == "pkill" || tool == "pgrep" {
		valued = "suUGgPtLF"
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			s.patterns = append(s.patterns, args[i+1:]...)
			return s
		case a == "--signal" || a == "-s":
			i++
			s.nothing = s.nothing || i < len(args) && args[i] == "0"
		case strings.HasPrefix(a, "--"):
			s.full = s.full || a == "--full"
			s.exact = s.exact && a != "--regexp" || a == "--exact"
			s.folds = s.folds || a == "--ignore-case"
			s.inverts = s.inverts || a == "--inverse"
		case strings.HasPrefix(a, "-") && len(a) > 1:
			s.nothing = s.nothing || a == "-0"
			if signal.MatchString(a) {
				continue
			}
			s.full = s.full || strings.Contains(a, "f")
			s.exact = s.exact && !strings.Contains(a, "r") || strings.Contains(a, "x")
			s.folds = s.folds || strings.Contains(a, "i") || strings.Contains(a, "I")
			s.inverts = s.inverts || strings.Contains(a, "v") && tool == "pkill"
			if strings.ContainsAny(a[len(a)-1:], valued) {
				i++
			}
		default:
			s.patterns = append(s.patterns, a)
		}
	}
	return s
}

// signal matches a signal that is given as an option: -9, -TERM, -SIGTERM.
var signal = regexp.MustCompile(`^-([0-9]+|[A-Z][A-Z0-9+]+)$`)

// picks tells whether a program of this name is one of those that get the signal.
func (s selection) picks(name string) bool {
	return slices.ContainsFunc(s.patterns, func(pattern string) bool {
		if strings.Contains(pattern, "\x00") {
			return false
		}
		if s.exact && !s.full {
			return path.Base(pattern) == name || pattern == name[:min(len(name), maxName)]
		}
		if s.full && strings.Contains(pattern, name) {
			return true // with -f the text may have a folder in front or arguments behind
		}
		expression := pattern
		if s.exact {
			expression = "^(?:" + pattern + ")$"
		}
		if s.folds {
			expression = "(?i)" + expression
		}
		re, err := regexp.Compile(expression)
		return err == nil && (re.MatchString(name) || !s.full && re.MatchString(name[:min(len(name), maxName)]))
	})
}

// finder matches the command in a substitution that finds processes for kill.
var finder = regexp.MustCompile(`\b(pgrep|pidof)\s+([^)|;&\x60]*)`)

// killed returns the programs of the tables to which a command sends a signal.
func killed(tool string, words []string, source string) []Stop {
	var picks func(name string) bool
	if tool != "kill" {
		s := selectionOf(tool, words[1:])
		if s.nothing || s.inverts {
			return nil
		}
		picks = s.picks
	} else {
		if slices.Contains(words, "-0") {
			return nil
		}
		picks = func(name string) bool { return strings.Contains(source, name) }
		if found := finder.FindStringSubmatch(source); found != nil {
			var args []string
			for _, a := range strings.Fields(found[2]) {
				args = append(args, strings.Trim(a, `"'`))
			}
			picks = selectionOf(found[1], args).picks
		}
	}
	var stops []Stop
	for _, p := range known.processes {
		stop := Stop{Tool: tool, Mesh: p.of, Signal: true}
		if picks(p.name) && !slices.Contains(stops, stop) {
			stops = append(stops, stop)
		}
	}
	return stops
}
