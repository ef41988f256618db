package wrap

import (
	"strings"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// An environment is a list of NAME=VALUE, as os.Environ returns it: the first entry of
// each name, in the order of the kernel.
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
