package wrapflags

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/nearest"
)

// A Verb is a verb of jobmesh-wrap.
type Verb int

// These are all verbs.
const (
	// VerbRun runs a command. It has no word on the command line.
	VerbRun Verb = iota
	VerbInstall
	VerbProbe
	VerbStop
	VerbVersion
	VerbHelp
)

// verbs are the words of the verbs on the command line.
var verbs = []string{"install", "probe", "stop", "version", "help"}

// A Call is a command line of jobmesh-wrap.
type Call struct {
	Verb    Verb
	Options Options
	// Command is everything behind "--", byte for byte.
	Command []string
	// Dir and From are the arguments of install: the folder to copy to, empty where it copies
	// nothing, and the file to copy, empty for the wrapper itself. Its --state-dir is in Options.
	Dir, From string
	// Open says that a word whose value is not known may be a flag, a verb or "--".
	Open bool
}

// ReadJobmeshWrap parses the arguments behind the name of the program. The error has all
// mistakes. The call then contains everything that could be parsed, because a wrapper that
// cannot do its work still has to log in the requested format.
func ReadJobmeshWrap(args []string, env Lookup) (Call, error) {
	var c Call
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	var err error
	switch verb {
	case "install":
		c.Verb = VerbInstall
		err = c.readInstall(args[1:], env)
	case "version", "--version":
		c.Verb = VerbVersion
	case "--help", "-h", "help":
		c.Verb = VerbHelp
	case "probe", "stop":
		c.Verb = VerbProbe
		if verb == "stop" {
			c.Verb = VerbStop
		}
		if err = c.readFlags(args[1:], env); err == nil && len(c.Command) > 0 {
			c.Command = nil
			err = errors.New(verb + " takes flags only, and runs no command")
		}
	default:
		if err = c.readFlags(args, env); err == nil && len(c.Command) == 0 {
			err = errors.New("no command given: want jobmesh-wrap [flags] -- COMMAND [ARG...]")
		}
	}
	if c.Open {
		return c, nil // with unknown words no mistake is certain
	}
	return c, err
}

// readInstall parses [--from FILE] [--state-dir DIR] [DIR].
func (c *Call) readInstall(args []string, env Lookup) error {
	c.Options.StateDir = env.get(stateDir.Variable())
	if slices.ContainsFunc(append(args, c.Options.StateDir), isUnknown) {
		c.Open = true
		return nil
	}
	given := map[string]bool{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		flag, value, hasValue := strings.Cut(args[0], "=")
		args = args[1:]
		if !hasValue && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		var field *string
		switch flag {
		case "--from":
			field = &c.From
			if value == "" || value[len(value)-1] == '/' {
				return errors.New("install: --from needs one file, as in --from /linkerd-await")
			}
		case "--" + stateDir.Name:
			field = &c.Options.StateDir
			if value == "" {
				return errors.New("install: --state-dir needs a folder, as in --state-dir /jobmesh-state")
			}
		default:
			return errors.New("install: unknown flag " + flag)
		}
		if given[flag] {
			return errors.New("install: " + flag + " is given twice")
		}
		*field, given[flag] = value, true
	}
	switch {
	case len(args) == 1 && args[0] != "":
		c.Dir = args[0]
	case len(args) > 0 || c.From != "" || c.Options.StateDir == "":
		return errors.New("install needs one argument, the directory to copy to, unless --state-dir is given")
	}
	return nil
}

// readFlags applies the defaults, then the environment, then the flags in front of the command.
// A flag wins over its variable.
func (c *Call) readFlags(args []string, env Lookup) error {
	o := &c.Options
	given, mistakes := c.splitFlags(args)
	for _, s := range settings {
		values, origin := given[s.Name], "--"+s.Name
		if values == nil {
			values, origin = s.fromEnvironment(env), s.Variable()
		}
		set := false
		for _, v := range s.split(values) {
			if isUnknown(v) {
				o.Unknown = appendNew(o.Unknown, s.Name)
			} else if err := s.set(o, v); err != nil {
				mistakes = append(mistakes, origin+": "+err.Error())
			} else {
				set = true
			}
		}
		if !set && s.Default != "" {
			if err := s.set(o, s.Default); err != nil {
				return errors.New("default of --" + s.Name + ": " + err.Error())
			}
		}
	}
	if len(mistakes) == 0 {
		if err := o.contradiction(); err != nil {
			mistakes = append(mistakes, err.Error())
		}
	}
	if len(mistakes) > 0 {
		c.Command = nil
		return errors.New(strings.Join(mistakes, "; "))
	}
	return nil
}

// Knows tells whether the values of these settings are known.
func (o *Options) Knows(names ...string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(o.Unknown, n) })
}

// contradiction returns an error for settings that exclude each other.
func (o *Options) contradiction() error {
	together := 0
	for _, given := range []bool{o.StateDir != "", o.Member != "", o.Members > 0} {
		if given {
			together++
		}
	}
	alone := slices.Contains(o.Meshes, MeshNone) || slices.Contains(o.Meshes, MeshAuto)
	switch {
	case alone && len(o.Meshes) > 1:
		return errors.New("--mesh auto and --mesh none stand alone: " + strings.Join(o.Meshes, ",") + " contradicts itself")
	case o.Meshes[0] == MeshNone && (o.ReadyURL != nil || o.Stop != nil || o.StopProcess != ""):
		return errors.New("--mesh none contradicts --ready-url, --stop and --stop-process: without a proxy there is nothing to ask")
	case o.Stop != nil && o.StopProcess != "":
		return errors.New("--stop contradicts --stop-process: choose one way to stop the proxy")
	case together != 0 && together != 3 && o.Knows("state-dir", "member", "members"):
		return errors.New("--state-dir, --member and --members go together: one of them is missing")
	}
	return nil
}

// fromEnvironment returns the values of the setting's variable. An empty variable counts as
// unset.
func (s Setting) fromEnvironment(env Lookup) []string {
	text := env.get(s.Variable())
	if !s.Repeatable || isUnknown(text) {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	var values []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	return values
}

// split splits values that may be several with commas between them. A value that is not known
// stays whole.
func (s Setting) split(values []string) []string {
	if !s.Commas {
		return values
	}
	var all []string
	for _, v := range values {
		if isUnknown(v) {
			all = append(all, v)
			continue
		}
		for item := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(item))
		}
	}
	return all
}

// splitFlags separates the flags up to "--" from the command behind it. It skips what it cannot
// parse, together with the next word, which may be its value. So a mistake hides neither other
// mistakes nor correct flags.
func (c *Call) splitFlags(args []string) (given map[string][]string, mistakes []string) {
	given = map[string][]string{}
	passedOver := false
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			c.Command = args[i+1:]
			break
		}
		flag, isLong := strings.CutPrefix(arg, "--")
		name, value, hasValue := strings.Cut(flag, "=")
		s, known := settingNamed(name)
		isValue := passedOver && !strings.HasPrefix(arg, "-")
		passedOver = false
		switch {
		case isValue:
			continue
		case isLong && known:
		case isUnknown(arg) || c.Open:
			c.Open, passedOver = true, true
			continue
		case strings.HasPrefix(arg, "-"):
			mistakes = append(mistakes, "unknown flag "+strings.TrimSuffix(arg, "="+value))
			passedOver = !hasValue
			continue
		default:
			text := "put -- before the command " + strconv.Quote(arg)
			if verb, near := nearest.Guess(arg, verbs); near && i == 0 {
				text += ", or write " + verb + " if you mean that"
			}
			return given, append(mistakes, text)
		}
		switch {
		case hasValue:
		case s.Value == "":
			value = "true"
		case i+1 == len(args) || args[i+1] == "--":
			mistakes = append(mistakes, "--"+name+" needs a value")
			continue
		default:
			i++
			value = args[i]
		}
		if given[name] != nil && !s.Repeatable {
			mistakes = append(mistakes, "--"+name+" is given twice")
			continue
		}
		given[name] = append(given[name], value)
	}
	return given, mistakes
}
