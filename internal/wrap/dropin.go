package wrap

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
)

// Exit codes of linkerd-await 0.3.3. A signal gives 128+n here, where it gave 71.
const (
	codeAwaitUsage = 2
	codeAwaitOS    = 71
)

// awaitFlags are what linkerd-await was told.
type awaitFlags struct {
	port         uint16
	shutdown     bool
	verbose      bool
	timeout      time.Duration
	timeoutFatal bool
	help         bool
	version      bool
	command      []string
}

// linkerdAwait takes the place of linkerd-await: the same flags, variables and
// exit codes. --backoff is checked and otherwise without effect, since this
// wrapper looks far more often.
func (r *run) linkerdAwait(args []string, version string) int {
	f, err := parseAwait(args, r.env)
	r.log = &logger{quiet: !f.verbose}
	switch {
	case err != nil:
		r.logEvent(event{severity: failure, name: "usage", text: "linkerd-await: " + err.Error(), hint: "linkerd-await --help lists the flags"})
		return codeAwaitUsage
	case f.help:
		return printOut(awaitHelp)
	case f.version:
		return printOut("linkerd-await 0.3.3 (jobmesh-wrap " + version + ")\n")
	}
	r.opts = &Options{
		readyTimeout: f.timeout, onReadyTimeout: onTimeoutFail, stopWhen: stopNever, stopTimeout: 5 * time.Second,
	}
	if !f.timeoutFatal {
		r.opts.onReadyTimeout = onTimeoutRun
	}
	if reason := disabledReason(r.env); reason != "" {
		r.logEvent(event{severity: info, name: "no-mesh", text: "Linkerd readiness check skipped: " + reason})
	} else {
		if f.shutdown {
			r.opts.stopWhen = stopAlways
		}
		p, err := awaitProxy(f.port)
		if err != nil {
			return r.internal(err)
		}
		r.plan.proxies = []proxy{p}
	}
	if len(f.command) > 0 {
		code := r.wrap(f.command)
		if !r.started && (code == codeNotFound || code == codeNotExecutable) {
			return codeAwaitOS
		}
		return code
	}
	switch ready := r.waitReady(); {
	case r.ending != 0:
		return codeSignal + int(r.ending)
	case !ready && f.timeoutFatal:
		return codeNotReady
	}
	return 0
}

const awaitHelp = `Wait for linkerd to become ready before running a program.

usage: linkerd-await [flags] [--] [CMD [ARGS...]]

  -p, --port PORT           port of the proxy's admin server (default 4191)
  -b, --backoff DURATION    accepted; this wrapper looks every 5 ms at first
  -S, --shutdown            stop the proxy when the program has ended
  -v, --verbose             log what is done (LINKERD_AWAIT_VERBOSE)
  -t, --timeout DURATION    fail with 69 when the proxy is not ready in time
      --timeout-fatal=BOOL  false: run the program all the same (default true)
  -V, --version
  -h, --help

LINKERD_AWAIT_DISABLED or LINKERD_DISABLED, when not empty, run the program at once.
`

func awaitProxy(port uint16) (proxy, error) {
	linkerd, _ := mesh.ByName("linkerd") // a row of the table
	at := "http://localhost:" + strconv.Itoa(int(port))
	p := proxy{name: linkerd.Name, stopDisabled: linkerd.StopDisabled}
	ready, err := plainhttp.NewLocal("GET", at+"/ready")
	if err != nil {
		return p, err
	}
	stop, err := plainhttp.NewLocal("POST", at+"/shutdown")
	if err != nil {
		return p, err
	}
	p.ready, p.stop = []*plainhttp.Request{ready}, []*plainhttp.Request{stop}
	return p, nil
}

// disabledReason is what a user wrote for switching linkerd-await off.
func disabledReason(env environment) string {
	if reason := env.value("LINKERD_AWAIT_DISABLED"); reason != "" {
		return reason
	}
	return env.value("LINKERD_DISABLED")
}

// parseAwait reads linkerd-await's command line: short flags may stand together,
// with a value behind the last one.
func parseAwait(args []string, env environment) (awaitFlags, error) {
	f := awaitFlags{port: 4191, timeoutFatal: true}
	if value, ok := env.lookup("LINKERD_AWAIT_VERBOSE"); ok {
		f.verbose = value != "" && value != "false" && value != "0"
	}
	fatalGiven := false
	for len(args) > 0 && len(f.command) == 0 {
		arg := args[0]
		args = args[1:]
		long, isLong := strings.CutPrefix(arg, "--")
		switch {
		case arg == "--":
			f.command = args
			args = nil
		case isLong:
			name, value, hasValue := strings.Cut(long, "=")
			if name == "timeout-fatal" {
				fatalGiven = true
				if !hasValue {
					value = "true"
				}
				b, err := strconv.ParseBool(value)
				if err != nil {
					return f, errors.New("--timeout-fatal: " + strconv.Quote(value) + " is neither true nor false")
				}
				f.timeoutFatal = b
				continue
			}
			letter, ok := awaitLetters[name]
			if !ok {
				return f, errors.New("unknown flag --" + name)
			}
			var err error
			if args, err = f.set(letter, "--"+name, value, hasValue, args); err != nil {
				return f, err
			}
		case len(arg) > 1 && arg[0] == '-':
			for i := 1; i < len(arg); i++ {
				value := strings.TrimPrefix(arg[i+1:], "=")
				takesValue := strings.IndexByte("pbt", arg[i]) >= 0
				var err error
				if args, err = f.set(arg[i], arg[:1]+arg[i:i+1], value, takesValue && value != "", args); err != nil {
					return f, err
				}
				if takesValue {
					break
				}
			}
		default:
			f.command = append([]string{arg}, args...)
		}
	}
	if len(f.command) == 0 && (f.shutdown || fatalGiven) && !f.help && !f.version {
		return f, errors.New("--shutdown and --timeout-fatal need a command")
	}
	return f, nil
}

var awaitLetters = map[string]byte{
	"port": 'p', "backoff": 'b', "shutdown": 'S', "verbose": 'v', "timeout": 't', "version": 'V', "help": 'h',
}

// set takes one flag, with the next argument as its value where it has none.
func (f *awaitFlags) set(letter byte, name, value string, hasValue bool, args []string) ([]string, error) {
	switch letter {
	case 'S':
		f.shutdown = true
	case 'v':
		f.verbose = true
	case 'V':
		f.version = true
	case 'h':
		f.help = true
	case 'p', 'b', 't':
		if !hasValue {
			if len(args) == 0 {
				return nil, errors.New(name + " needs a value")
			}
			value, args = args[0], args[1:]
		}
		return args, f.setValue(letter, name, value)
	default:
		return nil, errors.New("unknown flag " + name)
	}
	if hasValue {
		return nil, errors.New(name + " takes no value")
	}
	return args, nil
}

func (f *awaitFlags) setValue(letter byte, name, value string) error {
	if letter == 'p' {
		port, err := strconv.ParseUint(value, 10, 16)
		if err != nil || port == 0 {
			return errors.New(name + ": " + strconv.Quote(value) + " is not a port")
		}
		f.port = uint16(port)
		return nil
	}
	d, ok := awaitDuration(value)
	if !ok {
		return errors.New(name + ": " + strconv.Quote(value) + " is not a duration such as 500ms, 30s, 5m, 1h or 1d")
	}
	if letter == 't' {
		f.timeout = d
	}
	return nil
}

// awaitDuration reads a whole number with a unit, or a bare 0.
func awaitDuration(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, known := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}[text[len(digits):]]
	switch {
	case err != nil || n < 0 || digits[0] == '+':
		return 0, false
	case n == 0 && len(digits) == len(text):
		return 0, true
	case !known:
		return 0, false
	case n > int64((1<<63-1)/unit):
		return 1<<63 - 1, true // for ever, in effect
	}
	return time.Duration(n) * unit, true
}

// scuttle takes the place of scuttle, which is told everything by variables. A
// value it would ignore is ignored here too, with a line that says so.
func (r *run) scuttle(command []string) int {
	r.log = &logger{quiet: r.env.value("SCUTTLE_LOGGING") == "false"}
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		r.logEvent(event{severity: info, name: "usage", text: "no command given: nothing to do"})
		return 0
	}
	quitWithout := r.scuttleDuration("QUIT_WITHOUT_ENVOY_TIMEOUT")
	r.opts = &Options{
		readyTimeout: quitWithout, onReadyTimeout: onTimeoutFail, stopWhen: stopAlways, stopTimeout: 5 * time.Second,
	}
	if quitWithout == 0 {
		r.opts.readyTimeout, r.opts.onReadyTimeout = r.scuttleDuration("WAIT_FOR_ENVOY_TIMEOUT"), onTimeoutRun
	}
	switch {
	case r.scuttleBool("NEVER_KILL_ISTIO"):
		r.opts.stopWhen = stopNever
	case r.scuttleBool("NEVER_KILL_ISTIO_ON_FAILURE"):
		r.opts.stopWhen = stopSuccess
	}
	p, err := r.scuttleProxy()
	if err != nil {
		return r.usage(err)
	}
	if p != nil {
		r.plan.proxies = []proxy{*p}
	} else {
		r.logEvent(event{severity: info, name: "no-mesh", text: "no proxy to wait for: ENVOY_ADMIN_API is not set"})
	}
	code := r.wrap(command)
	if code == codeNotReady && !r.started {
		return 1 // what scuttle gives
	}
	return code
}

// scuttleProxy returns the proxy that the variables describe, nil where there is
// none.
func (r *run) scuttleProxy() (*proxy, error) {
	admin := strings.TrimSuffix(r.env.value("ENVOY_ADMIN_API"), "/")
	if admin == "" {
		return nil, nil
	}
	p := &proxy{name: "envoy"}
	if !r.scuttleBool("START_WITHOUT_ENVOY") {
		ready, err := plainhttp.NewLocal("GET", admin+"/server_info")
		if err != nil {
			return nil, errors.New("ENVOY_ADMIN_API: " + err.Error())
		}
		p.ready, p.readyState = []*plainhttp.Request{ready}, "LIVE"
	}
	if !strings.Contains(admin, "127.0.0.1") && !strings.Contains(admin, "localhost") {
		return p, nil // somebody else's Envoy
	}
	for endpoint := range strings.SplitSeq(r.env.value("GENERIC_QUIT_ENDPOINTS"), ",") {
		if endpoint = strings.TrimSpace(endpoint); endpoint == "" {
			continue
		}
		request, err := plainhttp.NewLocal("POST", endpoint)
		if err != nil {
			return nil, errors.New("GENERIC_QUIT_ENDPOINTS: " + err.Error())
		}
		p.stop = append(p.stop, request)
	}
	quit := strings.TrimSuffix(r.env.value("ISTIO_QUIT_API"), "/")
	if quit == "" {
		p.stopProcess = "pilot-agent" // Istio before 1.3
		return p, nil
	}
	request, err := plainhttp.NewLocal("POST", quit+"/quitquitquit")
	if err != nil {
		return nil, errors.New("ISTIO_QUIT_API: " + err.Error())
	}
	p.stop = append(p.stop, request)
	return p, nil
}

func (r *run) scuttleBool(name string) bool {
	value := r.env.value(name)
	if value != "" && value != "true" && value != "false" {
		r.logEvent(event{severity: warning, name: "usage", text: name + ": " + strconv.Quote(value) + " is neither true nor false, and is ignored"})
	}
	return value == "true"
}

func (r *run) scuttleDuration(name string) time.Duration {
	value := r.env.value(name)
	if value == "" {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		r.logEvent(event{severity: warning, name: "usage", text: name + ": " + strconv.Quote(value) + " is not a duration, and is ignored"})
		return 0
	}
	return d
}
