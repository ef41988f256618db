package lockfile

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// A Command is what an image runs.
type Command struct {
	Entrypoint []string
	Cmd        []string
}

// Equal tells whether both run the same. To a container runtime, a missing list and an empty
// one are the same.
func (c Command) Equal(other Command) bool {
	return slices.Equal(c.Entrypoint, other.Entrypoint) && slices.Equal(c.Cmd, other.Cmd)
}

// Argv returns what a container without command and args runs.
func (c Command) Argv() []string { return slices.Concat(c.Entrypoint, c.Cmd) }

// String returns the command as a Dockerfile has it.
func (c Command) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		list []string
	}{{"ENTRYPOINT", c.Entrypoint}, {"CMD", c.Cmd}} {
		if len(p.list) > 0 {
			text, _ := json.Marshal(p.list) // strings can always be encoded
			parts = append(parts, p.name+" "+string(text))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " ")
}

// ErrNothingToRun says that neither the spec of a container nor its image say what to run.
var ErrNothingToRun = errors.New("the image has neither ENTRYPOINT nor CMD")

// Argv returns what the kubelet runs for the command and the args of a container, and for those
// of the image:
//
//	command  args
//	set      any    command + args
//	unset    set    ENTRYPOINT + args
//	unset    unset  ENTRYPOINT + CMD
//
// The error is ErrNothingToRun where there is nothing to run.
func Argv(command, args []string, image Command) ([]string, error) {
	var argv []string
	switch {
	case len(command) > 0:
		argv = slices.Concat(command, args)
	case len(args) > 0:
		argv = slices.Concat(image.Entrypoint, args)
	default:
		argv = image.Argv()
	}
	if len(argv) == 0 {
		return nil, ErrNothingToRun
	}
	return argv, nil
}
