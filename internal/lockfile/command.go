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

// Equal tells whether both run the same. A list that is not there and an empty
// one are the same to a container runtime.
func (c Command) Equal(other Command) bool {
	return slices.Equal(c.Entrypoint, other.Entrypoint) && slices.Equal(c.Cmd, other.Cmd)
}

// Argv is what a container runs when nothing is said in its spec.
func (c Command) Argv() []string { return slices.Concat(c.Entrypoint, c.Cmd) }

// String is the command as a Dockerfile has it.
func (c Command) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		list []string
	}{{"ENTRYPOINT", c.Entrypoint}, {"CMD", c.Cmd}} {
		if len(p.list) > 0 {
			text, _ := json.Marshal(p.list) // strings always encode
			parts = append(parts, p.name+" "+string(text))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " ")
}

// ErrNothingToRun is a container for which neither spec nor image say what to run.
var ErrNothingToRun = errors.New("the image has neither ENTRYPOINT nor CMD")

// Argv returns what the kubelet runs for the command and the args of a container
// and the image's own:
//
//	command  args
//	set      any    command + args
//	unset    set    ENTRYPOINT + args
//	unset    unset  ENTRYPOINT + CMD
//
// It is ErrNothingToRun where that is empty.
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
