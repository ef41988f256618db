package wrap

import (
	"strings"
	"unsafe"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// firstVariable is where the entry point found the environment; nil in a build
// without that.
var firstVariable **byte

// inherited is the environment that the wrapper was started with, without what the
// entry point put in front of it, or given, which Go read.
func inherited(given []string) environment {
	if firstVariable == nil {
		return given
	}
	found := make(environment, 0, len(given))
	const word = unsafe.Sizeof(firstVariable)
	for at := firstVariable; *at != nil; at = (**byte)(unsafe.Add(unsafe.Pointer(at), word)) {
		length := 0
		for *(*byte)(unsafe.Add(unsafe.Pointer(*at), length)) != 0 {
			length++
		}
		found = append(found, unsafe.String(*at, length))
	}
	return found
}

// An environment is a list of NAME=VALUE, as the kernel hands it over.
type environment []string

// lookup returns the value of a variable and whether it is there at all. There is
// no variable without a name.
func (e environment) lookup(name string) (value string, ok bool) {
	if name == "" {
		return "", false
	}
	for _, entry := range e {
		if v, found := strings.CutPrefix(entry, name); found && strings.HasPrefix(v, "=") {
			return v[1:], true
		}
	}
	return "", false
}

// value returns the value of a variable, "" where it is not there.
func (e environment) value(name string) string {
	value, _ := e.lookup(name)
	return value
}

// forCommand returns the environment without the wrapper's own variables.
func (e environment) forCommand() []string {
	kept := make([]string, 0, len(e))
	for _, entry := range e {
		if !strings.HasPrefix(entry, wrapflags.VariablePrefix) {
			kept = append(kept, entry)
		}
	}
	return kept
}
