package wrap

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
)

// Values of --mesh beside the names of the mesh table.
const (
	meshAuto = "auto"
	meshNone = "none"
)

// Values of --stop-when.
const (
	stopAlways  = "always"
	stopSuccess = "success"
	stopNever   = "never"
)

// Values of --on-ready-timeout.
const (
	onTimeoutFail = "fail"
	onTimeoutRun  = "run"
)

// Values of --on-proxy-lost.
const (
	onLostRun  = "run"
	onLostFail = "fail"
)

// readyNone is the value of --ready-url for no readiness check.
const readyNone = "none"

// Options are the settings of one run, flags and environment taken together.
type Options struct {
	mesh           string
	readyURL       *plainhttp.Request   // nil: the mesh's own
	noReady        bool                 // no readiness check, not even the mesh's
	stop           []*plainhttp.Request // nil: the mesh's own
	stopProcess    string               // a process instead of a request
	readyTimeout   time.Duration        // 0: no limit
	onReadyTimeout string
	detectTimeout  time.Duration
	stopWhen       string
	stopTimeout    time.Duration
	killAfter      time.Duration // 0: never
	onProxyLost    string
	waitFor        []*dependency
	waitForTimeout time.Duration // 0: no limit
	stateDir       string        // empty: the only wrapped container
	member         string
	members        int
	logFormat      string
	quiet          bool
}

// A Setting is one flag and its environment twin.
type Setting struct {
	// Name without the leading dashes.
	Name string
	// Value is what the help text shows in place of the value; empty for a
	// flag that needs none.
	Value string
	// Default as it would be written on the command line.
	Default string
	// Usage is one sentence.
	Usage string
	// Repeatable flags collect their values; the variable has one a line.
	Repeatable bool

	set func(*Options, string) error
}

// Settings returns the flags in the order of the reference.
func Settings() []Setting { return settings }

var settings = []Setting{
	{
		Name: "mesh", Value: "NAME", Default: meshAuto,
		Usage: "which mesh the pod is in: auto, none, " + strings.Join(mesh.Names(), ", "),
		set: func(o *Options, v string) error {
			return oneOf(&o.mesh, v, append([]string{meshAuto, meshNone}, mesh.Names()...)...)
		},
	},
	{
		Name: "ready-url", Value: "URL",
		Usage: "replaces the mesh's readiness check; an answer of 200-299 means ready; none in its place means that the proxy is not waited for",
		set: func(o *Options, v string) (err error) {
			if o.noReady = v == readyNone; o.noReady {
				return nil
			}
			o.readyURL, err = plainhttp.NewLocal("GET", v)
			return err
		},
	},
	{
		Name: "stop", Value: "'METHOD URL'", Repeatable: true,
		Usage: "replaces the mesh's stop request; sent in the order given, one that fails does not keep back the next",
		set: func(o *Options, v string) error {
			request, err := parseRequest(v)
			if err == nil {
				o.stop = append(o.stop, request)
			}
			return err
		},
	},
	{
		Name: "stop-process", Value: "NAME",
		Usage: "stops the proxy with SIGTERM, or SIGKILL after a command that failed, instead of a request; for pods that share the process namespace",
		set: func(o *Options, v string) error {
			if v == "" || strings.Contains(v, "/") {
				return errors.New(strconv.Quote(v) + " is not the name of a process")
			}
			o.stopProcess = v
			return nil
		},
	},
	{
		Name: "ready-timeout", Value: "DURATION", Default: "2m",
		Usage: "how long to wait for the proxy; 0 means for ever",
		set:   func(o *Options, v string) error { return duration(&o.readyTimeout, v, 0) },
	},
	{
		Name: "on-ready-timeout", Value: "fail|run", Default: onTimeoutFail,
		Usage: "what to do when the proxy is not ready in time: fail with exit code 69 and ask the proxy to stop, or run the command all the same",
		set:   func(o *Options, v string) error { return oneOf(&o.onReadyTimeout, v, onTimeoutFail, onTimeoutRun) },
	},
	{
		Name: "detect-timeout", Value: "DURATION", Default: "5s",
		Usage: "how long auto looks for a proxy when nothing says whether one was injected",
		set:   func(o *Options, v string) error { return duration(&o.detectTimeout, v, 0) },
	},
	{
		Name: "stop-when", Value: "always|success|never", Default: stopAlways,
		Usage: "when to stop the proxy after the command: always, only after exit code 0 (for pods that restart it), or never",
		set:   func(o *Options, v string) error { return oneOf(&o.stopWhen, v, stopAlways, stopSuccess, stopNever) },
	},
	{
		Name: "stop-timeout", Value: "DURATION", Default: "5s",
		Usage: "limit for sending the stop request, repeating it, and seeing the proxy gone, all together",
		set:   func(o *Options, v string) error { return duration(&o.stopTimeout, v, time.Millisecond) },
	},
	{
		Name: "kill-after", Value: "DURATION", Default: "0",
		Usage: "how long after a SIGTERM the command is killed if it is still there; 0 means never",
		set:   func(o *Options, v string) error { return duration(&o.killAfter, v, 0) },
	},
	{
		Name: "on-proxy-lost", Value: "run|fail", Default: onLostRun,
		Usage: "what to do when the proxy goes while the command runs: let the command run, or end it with SIGTERM, and exit with 69",
		set:   func(o *Options, v string) error { return oneOf(&o.onProxyLost, v, onLostRun, onLostFail) },
	},
	{
		Name: "wait-for", Value: "URL", Repeatable: true,
		Usage: "waits for tcp://HOST:PORT, http://... (an answer of 200-299) or https://... (a TLS answer) after the proxy is ready and before the command",
		set: func(o *Options, v string) error {
			d, err := parseDependency(v)
			if err == nil {
				o.waitFor = append(o.waitFor, d)
			}
			return err
		},
	},
	{
		Name: "wait-for-timeout", Value: "DURATION", Default: "2m",
		Usage: "limit for all of --wait-for together, exit code 69 when it is over; 0 means for ever",
		set:   func(o *Options, v string) error { return duration(&o.waitForTimeout, v, 0) },
	},
	{
		Name: "state-dir", Value: "DIR",
		Usage: "folder shared by the wrapped containers of a pod: the last one to end stops the proxy",
		set: func(o *Options, v string) error {
			o.stateDir = v
			return nil
		},
	},
	{
		Name: "member", Value: "NAME",
		Usage: "name of this container in --state-dir",
		set: func(o *Options, v string) error {
			if v == "" || v[0] == '.' || strings.Contains(v, "/") {
				return errors.New(strconv.Quote(v) + " is not the name of a container")
			}
			o.member = v
			return nil
		},
	},
	{
		Name: "members", Value: "N",
		Usage: "how many wrapped containers the pod has",
		set: func(o *Options, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return errors.New(strconv.Quote(v) + " is not a number from 1 on")
			}
			o.members = n
			return nil
		},
	},
	{
		Name: "log-format", Value: "text|json", Default: formatText,
		Usage: "form of the wrapper's own lines on stderr",
		set:   func(o *Options, v string) error { return oneOf(&o.logFormat, v, formatText, formatJSON) },
	},
	{
		Name: "quiet", Default: "false",
		Usage: "write errors only",
		set: func(o *Options, v string) (err error) {
			if o.quiet, err = strconv.ParseBool(v); err != nil {
				return errors.New(strconv.Quote(v) + " is neither true nor false")
			}
			return nil
		},
	},
}

// Variable is the setting's environment twin.
func (s Setting) Variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// variablePrefix marks what belongs to the wrapper in its environment.
const variablePrefix = "JOBMESH_"

// parseOptions reads defaults, then the environment, then the flags in front
// of the command, and returns the command. The flag wins over the variable.
func parseOptions(args []string, env environment) (Options, []string, error) {
	var o Options
	for _, s := range settings {
		if s.Default != "" {
			if err := s.set(&o, s.Default); err != nil {
				return o, nil, errors.New("default of --" + s.Name + ": " + err.Error())
			}
		}
	}
	given, command, mistake := splitFlags(args)
	// All mistakes are told at once, and in the form that was asked for.
	var mistakes []string
	if mistake != nil {
		mistakes = append(mistakes, mistake.Error())
	}
	for _, s := range settings {
		values, origin := given[s.Name], "--"+s.Name
		if values == nil {
			values, origin = s.fromEnvironment(env), s.Variable()
		}
		for _, v := range values {
			if err := s.set(&o, v); err != nil {
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
		return o, nil, errors.New(strings.Join(mistakes, "; "))
	}
	return o, command, nil
}

// contradiction reports settings that cannot go together.
func (o *Options) contradiction() error {
	together := 0
	for _, given := range []bool{o.stateDir != "", o.member != "", o.members > 0} {
		if given {
			together++
		}
	}
	switch {
	case o.mesh == meshNone && (o.readyURL != nil || o.stop != nil || o.stopProcess != ""):
		return errors.New("--mesh none contradicts --ready-url, --stop and --stop-process: without a proxy there is nothing to ask")
	case o.stop != nil && o.stopProcess != "":
		return errors.New("--stop contradicts --stop-process: choose one way to stop the proxy")
	case together != 0 && together != 3:
		return errors.New("--state-dir, --member and --members go together: one of them is missing")
	}
	return nil
}

// fromEnvironment returns the values of the setting's variable, which counts
// as unset when it is empty.
func (s Setting) fromEnvironment(env environment) []string {
	text, _ := env.lookup(s.Variable())
	if !s.Repeatable {
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

// splitFlags takes the flags up to "--" apart from the command behind it.
func splitFlags(args []string) (given map[string][]string, command []string, err error) {
	given = map[string][]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return given, args[i+1:], nil
		}
		flag, ok := strings.CutPrefix(arg, "--")
		if !ok {
			if strings.HasPrefix(arg, "-") {
				return given, nil, errors.New("unknown flag " + arg)
			}
			return given, nil, errors.New("put -- before the command " + strconv.Quote(arg))
		}
		name, value, hasValue := strings.Cut(flag, "=")
		s, ok := settingNamed(name)
		switch {
		case !ok:
			return given, nil, errors.New("unknown flag --" + name)
		case hasValue:
		case s.Value == "":
			value = "true"
		case i+1 == len(args) || args[i+1] == "--":
			return given, nil, errors.New("--" + name + " needs a value")
		default:
			i++
			value = args[i]
		}
		if given[name] != nil && !s.Repeatable {
			return given, nil, errors.New("--" + name + " is given twice")
		}
		given[name] = append(given[name], value)
	}
	return given, nil, nil
}

func settingNamed(name string) (Setting, bool) {
	for _, s := range settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}

// parseRequest reads "METHOD URL".
func parseRequest(text string, headers ...string) (*plainhttp.Request, error) {
	method, target, ok := strings.Cut(text, " ")
	if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return nil, errors.New(strconv.Quote(text) + " is not of the form 'METHOD URL', as in 'POST http://127.0.0.1:4191/shutdown'")
	}
	return plainhttp.NewLocal(method, target, headers...)
}

func oneOf(field *string, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			*field = value
			return nil
		}
	}
	return errors.New(strconv.Quote(value) + " is not one of " + strings.Join(allowed, ", "))
}

func duration(field *time.Duration, value string, least time.Duration) error {
	d, err := time.ParseDuration(value)
	if err != nil {
		return errors.New(strconv.Quote(value) + " is not a duration such as 500ms, 30s or 2m")
	}
	if d < least {
		return errors.New(strconv.Quote(value) + " is less than " + least.String())
	}
	*field = d
	return nil
}
