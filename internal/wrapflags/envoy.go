package wrapflags

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
)

// A Scuttled is the configuration of scuttle, which comes from its environment alone. Scuttle
// reads the exact words true and false; it ignores any other value of a switch, and a duration
// that it cannot parse.
type Scuttled struct {
	// Quiet says that it logs nothing.
	Quiet bool
	// Envoy is the address that it asks until the answer says LIVE; nil means that it does not
	// wait.
	Envoy *address.URL
	// Timeout is how long it waits; 0 means no limit.
	Timeout time.Duration
	// Fatal says that it fails after Timeout instead of running the command.
	Fatal bool
	// StopWhen says when it stops the proxy: one of the values of --stop-when. It is "never"
	// where the variables name no Envoy, or one elsewhere.
	StopWhen string
	// Stop are its requests, in their order.
	Stop []Request
	// StopProcess is a process that it ends instead, where ISTIO_QUIT_API is not set.
	StopProcess string
	// Command is the command that it runs. It is empty where there is none; scuttle then exits
	// with 0.
	Command []string
	// Ignored are sentences about values that are ignored.
	Ignored []string
	// Unknown are the variables whose value is not known.
	Unknown []string
}

// ScuttleVariables returns the variables that scuttle reads, except that of its log.
func ScuttleVariables() []string {
	return []string{
		envoyAdmin, istioQuit, "GENERIC_QUIT_ENDPOINTS", "NEVER_KILL_ISTIO", "NEVER_KILL_ISTIO_ON_FAILURE",
		startWithoutEnvoy, "WAIT_FOR_ENVOY_TIMEOUT", "QUIT_WITHOUT_ENVOY_TIMEOUT",
	}
}

const (
	envoyAdmin        = "ENVOY_ADMIN_API"
	istioQuit         = "ISTIO_QUIT_API"
	startWithoutEnvoy = "START_WITHOUT_ENVOY"
)

// ReadScuttle parses the arguments behind the name of the program, and its environment, as
// scuttle 1.3.3 does. There is one difference: it skips a "--" in front of the command, which
// that release takes for the command.
func ReadScuttle(args []string, env Lookup) (Scuttled, error) {
	s := Scuttled{Quiet: env.get("SCUTTLE_LOGGING") == "false", StopWhen: StopNever, Command: args}
	if len(args) > 0 && args[0] == "--" {
		s.Command = args[1:]
	}
	if len(s.Command) == 0 {
		return s, nil
	}
	if s.Timeout = s.duration("QUIT_WITHOUT_ENVOY_TIMEOUT", env); s.Timeout > 0 {
		s.Fatal = true
	} else {
		s.Timeout = s.duration("WAIT_FOR_ENVOY_TIMEOUT", env)
	}
	when := StopAlways
	switch {
	case s.isTrue("NEVER_KILL_ISTIO", env):
		when = StopNever
	case s.isTrue("NEVER_KILL_ISTIO_ON_FAILURE", env):
		when = StopSuccess
	}
	admin := strings.TrimSuffix(env.get(envoyAdmin), "/")
	switch {
	case !s.known(envoyAdmin, admin), admin == "":
		return s, nil
	case !s.isTrue(startWithoutEnvoy, env):
		u, err := address.Parse(admin + "/server_info")
		if err != nil {
			return s, errors.New(envoyAdmin + ": " + err.Error())
		}
		s.Envoy = &u
	}
	if !IsLocal(admin) {
		return s, nil // the Envoy is not in this pod
	}
	s.StopWhen = when
	return s, s.readStops(env)
}

// IsLocal is the test by which scuttle and envoy-preflight decide whether an Envoy is in their
// own pod.
func IsLocal(url string) bool {
	return strings.Contains(url, "127.0.0.1") || strings.Contains(url, "localhost")
}

func (s *Scuttled) readStops(env Lookup) error {
	endpoints := env.get("GENERIC_QUIT_ENDPOINTS")
	if s.known("GENERIC_QUIT_ENDPOINTS", endpoints) {
		for endpoint := range strings.SplitSeq(endpoints, ",") {
			if endpoint = strings.TrimSpace(endpoint); endpoint == "" {
				continue
			}
			if err := s.addStop("GENERIC_QUIT_ENDPOINTS", endpoint); err != nil {
				return err
			}
		}
	}
	quit := strings.TrimSuffix(env.get(istioQuit), "/")
	switch {
	case !s.known(istioQuit, quit):
		return nil
	case quit == "":
		s.StopProcess = "pilot-agent" // this is for Istio before 1.3
		return nil
	}
	return s.addStop(istioQuit, quit+"/quitquitquit")
}

func (s *Scuttled) addStop(variable, url string) error {
	u, err := address.ParseLocal(url)
	if err != nil {
		return errors.New(variable + ": " + err.Error())
	}
	s.Stop = append(s.Stop, Request{"POST", u})
	return nil
}

// known tells whether a value is known, and records the variable where it is not.
func (s *Scuttled) known(variable, value string) bool {
	if isUnknown(value) {
		s.Unknown = append(s.Unknown, variable)
		return false
	}
	return true
}

func (s *Scuttled) isTrue(variable string, env Lookup) bool {
	value := env.get(variable)
	if s.known(variable, value) && value != "" && value != "true" && value != "false" {
		s.Ignored = append(s.Ignored, variable+": "+strconv.Quote(value)+" is neither true nor false, and is ignored")
	}
	return value == "true"
}

func (s *Scuttled) duration(variable string, env Lookup) time.Duration {
	value := env.get(variable)
	if !s.known(variable, value) || value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		s.Ignored = append(s.Ignored, variable+": "+strconv.Quote(value)+" is not a duration, and is ignored")
		return 0
	}
	return d
}

// A Preflight is the configuration of envoy-preflight, which comes from its environment alone.
type Preflight struct {
	// Waits says that it waits for Envoy, without a limit.
	Waits bool
	// StopWhen says when it stops the proxy: one of the values of --stop-when.
	StopWhen string
	// Stop is the URL to which it sends a POST, as written, because it does not check the URL.
	Stop string
	// Command is the command that it runs. It is empty where there is none; envoy-preflight
	// then exits with 0.
	Command []string
	// Unknown are the variables whose value is not known.
	Unknown []string
}

// PreflightVariables returns the variables that envoy-preflight reads.
func PreflightVariables() []string {
	return []string{envoyAdmin, "ENVOY_KILL_API", startWithoutEnvoy, "NEVER_KILL_ENVOY", "ALWAYS_KILL_ENVOY"}
}

// ReadEnvoyPreflight parses the arguments behind the name of the program, and its environment,
// as envoy-preflight 1.0 does. An empty variable counts as set: with an empty ENVOY_ADMIN_API
// it waits for ever.
func ReadEnvoyPreflight(args []string, env Lookup) Preflight {
	p := Preflight{StopWhen: StopNever, Command: args}
	value := func(name string) string {
		v := env.get(name)
		if isUnknown(v) {
			p.Unknown = append(p.Unknown, name)
		}
		return v
	}
	_, told := env(envoyAdmin)
	admin := value(envoyAdmin)
	p.Waits = told && value(startWithoutEnvoy) != "true"
	if kill, given := env("ENVOY_KILL_API"); given {
		p.Stop = kill
	} else {
		p.Stop = admin + "/quitquitquit"
	}
	switch never, always := value("NEVER_KILL_ENVOY"), value("ALWAYS_KILL_ENVOY"); {
	case !told || !IsLocal(admin) || never == "true":
	case always == "true":
		p.StopWhen = StopAlways
	default:
		p.StopWhen = StopSuccess
	}
	return p
}
