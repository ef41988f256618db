package wrapflags

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A Verb is what jobmesh-wrap is asked to do.
type Verb int

// The verbs.
const (
	// VerbRun runs a command; it has no word of its own.
	VerbRun Verb = iota
	VerbInstall
	VerbProbe
	VerbVersion
	VerbHelp
)

// A Call is a command line of jobmesh-wrap.
type Call struct {
	Verb    Verb
	Options Options
	// Command is what stands behind "--", byte for byte.
	Command []string
	// Dir and From are what install was given: where to copy to, and what, empty for
	// the wrapper itself.
	Dir, From string
	// Open is set where a word that is not known may be a flag, a verb or "--".
	Open bool
}

// ReadJobmeshWrap reads what stands behind the name of the program. With an error,
// which holds all mistakes, what could be read is in the call all the same: also a
// wrapper that cannot do its work has to log in the form that was asked for.
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
		err = c.readInstall(args[1:])
	case "version", "--version":
		c.Verb = VerbVersion
	case "--help", "-h", "help":
		c.Verb = VerbHelp
	case "probe":
		c.Verb = VerbProbe
		if err = c.readFlags(args[1:], env); err == nil && len(c.Command) > 0 {
			c.Command = nil
			err = errors.New("probe takes flags only, and runs no command")
		}
	default:
		if err = c.readFlags(args, env); err == nil && len(c.Command) == 0 {
			err = errors.New("no command given: want jobmesh-wrap [flags] -- COMMAND [ARG...]")
		}
	}
	if c.Open {
		return c, nil // no mistake is sure
	}
	return c, err
}

// readInstall reads [--from FILE] DIR.
func (c *Call) readInstall(args []string) error {
	if slices.ContainsFunc(args, isUnknown) {
		c.Open = true
		return nil
	}
	for len(args) > 0 && (args[0] == "--from" || strings.HasPrefix(args[0], "--from=")) {
		_, value, hasValue := strings.Cut(args[0], "=")
		args = args[1:]
		if !hasValue && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		if value == "" || value[len(value)-1] == '/' || c.From != "" {
			return errors.New("install: --from wants one file, as in --from /linkerd-await")
		}
		c.From = value
	}
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return errors.New("install wants one argument, the directory to copy to")
	}
	c.Dir = args[0]
	return nil
}

// readFlags reads defaults, then the environment, then the flags in front of the
// command. The flag wins over the variable.
func (c *Call) readFlags(args []string, env Lookup) error {
	o := &c.Options
	for _, s := range settings {
		if s.Default != "" {
			if err := s.set(o, s.Default); err != nil {
				return errors.New("default of --" + s.Name + ": " + err.Error())
			}
		}
	}
	given, mistakes := c.splitFlags(args)
	for _, s := range settings {
		values, origin := given[s.Name], "--"+s.Name
		if values == nil {
			values, origin = s.fromEnvironment(env), s.Variable()
		}
		for _, v := range values {
			if isUnknown(v) {
				o.Unknown = append(o.Unknown, s.Name)
			} else if err := s.set(o, v); err != nil {
				mistakes = append(mistakes, origin+": "+err.Error())
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

// contradiction reports settings that cannot go together.
func (o *Options) contradiction() error {
	together := 0
	for _, given := range []bool{o.StateDir != "", o.Member != "", o.Members > 0} {
		if given {
			together++
		}
	}
	switch {
	case o.Mesh == MeshNone && (o.ReadyURL != nil || o.Stop != nil || o.StopProcess != ""):
		return errors.New("--mesh none contradicts --ready-url, --stop and --stop-process: without a proxy there is nothing to ask")
	case o.Stop != nil && o.StopProcess != "":
		return errors.New("--stop contradicts --stop-process: choose one way to stop the proxy")
	case together != 0 && together != 3 && o.Knows("state-dir", "member", "members"):
		return errors.New("--state-dir, --member and --members go together: one of them is missing")
	}
	return nil
}

// fromEnvironment returns the values of the setting's variable, which counts
// as unset when it is empty.
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

// splitFlags takes the flags up to "--" apart from the command behind it. What it
// cannot read it passes over, with the word behind it that may be its value, so that
// one mistake hides neither the others nor the flags that are right.
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
			return given, append(mistakes, "put -- before the command "+strconv.Quote(arg))
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
