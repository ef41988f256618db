package script

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// helps tells whether a command is a helper that runs until somebody ends it.
func helps(words []string, env map[string]string) bool {
	plain := unprefixed(words)
	if len(plain) == 0 || bounded(words, plain) {
		return false
	}
	h := sidecar.Find("", []string{path.Base(plain[0])}, plain)
	return h != nil && h.EndedBy == "" && !h.EndsItself(plain, env)
}

// bounded tells whether a command is ended after a time, for example by timeout.
func bounded(words, plain []string) bool {
	return slices.ContainsFunc(words[:len(words)-len(plain)], func(w string) bool { return path.Base(w) == "timeout" })
}

// tooLong is the number of seconds from which on a sleep counts as endless: a hundred days.
const tooLong = 100 * 24 * 60 * 60

// endless tells whether a command never ends by itself.
func endless(words []string) bool {
	plain := unprefixed(words)
	if len(plain) == 0 || bounded(words, plain) {
		return false
	}
	args := plain[1:]
	switch path.Base(plain[0]) {
	case "sleep":
		return slices.ContainsFunc(args, sleepsOn)
	case "tail":
		return follows(args)
	case "inotifywait":
		return slices.Contains(args, "-m") || slices.Contains(args, "--monitor")
	case "yes":
		return true
	}
	return false
}

// units are the units of sleep, in seconds.
var units = map[byte]float64{'s': 1, 'm': 60, 'h': 60 * 60, 'd': 24 * 60 * 60}

func sleepsOn(arg string) bool {
	if arg == "infinity" || arg == "inf" {
		return true
	}
	if arg == "" {
		return false
	}
	unit, suffixed := units[arg[len(arg)-1]]
	if suffixed {
		arg = arg[:len(arg)-1]
	} else {
		unit = 1
	}
	n, err := strconv.ParseFloat(arg, 64)
	return err == nil && n*unit >= tooLong
}

// follows tells whether tail waits for more lines, and not for a process to end.
func follows(args []string) bool {
	follow := false
	for _, a := range args {
		switch {
		case strings.HasPrefix(a, "--pid"):
			return false
		case strings.HasPrefix(a, "--"):
			follow = follow || strings.HasPrefix(a, "--follow") || a == "--retry"
		case strings.HasPrefix(a, "-"):
			follow = follow || strings.ContainsAny(a, "fF")
		}
	}
	return follow
}
