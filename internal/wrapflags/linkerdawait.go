package wrapflags

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// An Await is a parsed command line of linkerd-await.
type Await struct {
	Port     uint16
	Shutdown bool
	Verbose  bool
	// Timeout is how long it waits; 0 means no limit.
	Timeout time.Duration
	// TimeoutFatal says that it fails after Timeout instead of running the command.
	TimeoutFatal bool
	// Disabled is the value with which the user has switched it off; empty means that it is on.
	Disabled string
	Help     bool
	Version  bool
	Command  []string

	// Unknown are the flags and variables whose value is not known.
	Unknown []string
	// Open says that a word whose value is not known may be a flag.
	Open bool

	fatalGiven bool
	given      string // the letters of the flags that were given
}

// These are the variables of linkerd-await.
const (
	awaitVerbose    = "LINKERD_AWAIT_VERBOSE"
	awaitDisabled   = "LINKERD_AWAIT_DISABLED"
	linkerdDisabled = "LINKERD_DISABLED"
)

// awaitFlag is a flag of linkerd-await.
type awaitFlag struct {
	long   string
	letter byte
	value  bool // says that the flag takes a value
}

// fatal stands in place of the letter of the only flag without one.
const fatal = 0

var awaitFlags = []awaitFlag{
	{"port", 'p', true}, {"backoff", 'b', true}, {"shutdown", 'S', false}, {"verbose", 'v', false},
	{"timeout", 't', true}, {"timeout-fatal", fatal, false}, {"version", 'V', false}, {"help", 'h', false},
}

// AwaitVersion is the release of linkerd-await whose command lines this file parses.
const AwaitVersion = "0.3.3"

// ReadLinkerdAwait parses the arguments behind the name of the program as the release
// AwaitVersion does. That release looks for its own flags behind the command too, and the first
// "--" is its own wherever it stands, so that `linkerd-await -S sh -- -c 'exit 3'` runs sh -c
// 'exit 3'. There are two differences: this parser accepts --help, without which that release
// was built, and refuses port 0, at which nobody can answer.
func ReadLinkerdAwait(args []string, env Lookup) (Await, error) {
	a := Await{Port: 4191, TimeoutFatal: true}
	err := a.read(args)
	if err == nil && !a.Help && !a.Version {
		err = a.settle(env)
	}
	if a.Open {
		return a, nil // with unknown words no mistake is certain
	}
	if err != nil {
		return a, errors.New(LinkerdAwait + ": " + err.Error())
	}
	return a, nil
}

func (a *Await) read(args []string) (err error) {
	for ours := true; len(args) > 0 && err == nil && !a.Help && !a.Version; {
		arg := args[0]
		args = args[1:]
		switch {
		case ours && arg == "--":
			ours = false
		case !ours || len(arg) < 2 || arg[0] != '-':
			a.Open = a.Open || ours && arg != "" && arg[0] == 0
			a.Command = append(a.Command, arg)
		case arg[1] == '-':
			args, err = a.readLong(arg, args)
		default:
			args, err = a.readShort(arg, args)
		}
	}
	return err
}

// readLong parses a flag of the form --name or --name=value, and takes its value from args
// where it has none.
func (a *Await) readLong(arg string, args []string) ([]string, error) {
	name, value, hasValue := strings.Cut(arg[2:], "=")
	for _, f := range awaitFlags {
		switch {
		case f.long != name:
		case f.letter == fatal && !hasValue:
			return args, a.set(f, "--"+name, "true")
		case hasValue && !f.value && f.letter != fatal:
			return args, errors.New("--" + name + " takes no value")
		case hasValue || !f.value:
			return args, a.set(f, "--"+name, value)
		default:
			return a.takeValue(f, "--"+name, args)
		}
	}
	a.Open = a.Open || isUnknown(name)
	return args, errors.New("unknown flag --" + name)
}

// readShort parses flags of one letter, which may stand together: -Svt1s is -S -v -t 1s.
func (a *Await) readShort(arg string, args []string) ([]string, error) {
next:
	for i := 1; i < len(arg); i++ {
		name := "-" + arg[i:i+1]
		for _, f := range awaitFlags {
			switch {
			case f.letter != arg[i] || f.letter == fatal:
			case f.value && i+1 < len(arg):
				return args, a.set(f, name, strings.TrimPrefix(arg[i+1:], "="))
			case f.value:
				return a.takeValue(f, name, args)
			default:
				if err := a.set(f, name, ""); err != nil || a.Help || a.Version {
					return args, err
				}
				continue next
			}
		}
		a.Open = a.Open || isUnknown(arg)
		return args, errors.New("unknown flag " + name)
	}
	return args, nil
}

// takeValue takes the next word as the value of a flag, unless that word is a flag.
func (a *Await) takeValue(f awaitFlag, name string, args []string) ([]string, error) {
	if len(args) == 0 || len(args[0]) > 1 && args[0][0] == '-' {
		return args, errors.New(name + " needs a value")
	}
	return args[1:], a.set(f, name, args[0])
}

func (a *Await) set(f awaitFlag, name, value string) error {
	if f.letter != fatal {
		if strings.IndexByte(a.given, f.letter) >= 0 {
			return errors.New(name + " is given twice")
		}
		a.given += string(f.letter)
	} else if a.fatalGiven {
		return errors.New(name + " is given twice")
	}
	if isUnknown(value) {
		a.Unknown = append(a.Unknown, f.long)
		a.fatalGiven = a.fatalGiven || f.letter == fatal
		return nil
	}
	switch f.letter {
	case 'S':
		a.Shutdown = true
	case 'v':
		a.Verbose = true
	case 'V':
		a.Version = true
	case 'h':
		a.Help = true
	case fatal:
		a.fatalGiven = true
		a.TimeoutFatal = value != "false"
		if value != "true" && value != "false" {
			return errors.New(name + ": " + strconv.Quote(value) + " is neither true nor false")
		}
	case 'p':
		port, err := strconv.ParseUint(strings.TrimPrefix(value, "+"), 10, 16)
		if err != nil || port == 0 {
			return errors.New(name + ": " + strconv.Quote(value) + " is not a port")
		}
		a.Port = uint16(port)
	default:
		d, ok := awaitDuration(value)
		if !ok {
			return errors.New(name + ": " + strconv.Quote(value) + " is not a duration such as 500ms, 30s, 5m, 1h or 1d")
		}
		if f.letter == 't' {
			a.Timeout = d
		}
	}
	return nil
}

// settle reads the variables, and checks that the flags agree.
func (a *Await) settle(env Lookup) error {
	if reason := env.get(awaitDisabled); reason != "" {
		a.Disabled = reason
	} else {
		a.Disabled = env.get(linkerdDisabled)
	}
	if isUnknown(a.Disabled) {
		a.Unknown = append(a.Unknown, awaitDisabled)
	}
	if value, set := env(awaitVerbose); set && !a.Verbose && !isUnknown(value) {
		if value != "true" && value != "false" {
			return errors.New(awaitVerbose + ": " + strconv.Quote(value) + " is neither true nor false")
		}
		a.Verbose = value == "true"
	}
	if len(a.Command) == 0 && (a.Shutdown || a.fatalGiven) {
		return errors.New("--shutdown and --timeout-fatal need a command")
	}
	return nil
}

// awaitDuration parses a whole number with a unit, or a bare 0. A time that is too long for
// Go's type counts as no limit.
func awaitDuration(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	split := strings.LastIndexAny(text, "0123456789") + 1
	n, err := strconv.ParseUint(strings.TrimPrefix(text[:split], "+"), 10, 64)
	if err != nil {
		return 0, false
	}
	unit := uint64(0) // the unit is in milliseconds
	switch text[split:] {
	case "":
		return 0, n == 0
	case "ms":
		unit = 1
	case "s":
		unit = 1000
	case "m":
		unit = 60 * 1000
	case "h":
		unit = 60 * 60 * 1000
	case "d":
		unit = 24 * 60 * 60 * 1000
	}
	switch {
	case unit == 0 || n > math.MaxUint64/unit:
		return 0, false
	case n*unit > uint64(math.MaxInt64/time.Millisecond):
		return math.MaxInt64, true
	}
	return time.Duration(n*unit) * time.Millisecond, true
}
