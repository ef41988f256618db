// Package wrap is the wrapper: it waits for the mesh proxy of its pod, runs the
// container's command as an init would, asks the proxy to stop, and ends with
// the command's exit code.
//
// It promises to leave the command alone (arguments, streams, ids, limits) and
// never to let its own trouble keep a Job from ending. It links no package
// outside the standard library, and neither net nor fmt, to stay small.
package wrap

import (
	"os"
	"strings"
	"syscall"
	"time"
)

// Exit codes of the wrapper itself; 64, 69 and 70 are those of sysexits.h, the
// others those of a shell.
const (
	codeUsage         = 64
	codeNotReady      = 69
	codeInternal      = 70
	codeNotExecutable = 126
	codeNotFound      = 127
	codeSignal        = 128 // plus the signal's number
)

// interruptedStop bounds the stop request after a signal has ended the wait:
// whoever sent it wants the container gone now.
const interruptedStop = 200 * time.Millisecond

// A run is one wrapped command.
type run struct {
	opts     Options
	plan     plan
	env      environment
	log      *logger
	signals  chan os.Signal
	children chan os.Signal
	// seen is set once a proxy was seen ready.
	seen bool
	// ending is the signal that ended the wait, 0 for none.
	ending syscall.Signal
}

// Main is the program: it takes the arguments (the program's name first), the
// environment and the version, and returns the exit code.
func Main(args, environ []string, version string) int {
	// First of all: a signal that arrives before this line kills the wrapper.
	signals, children := catchSignals()
	verb := ""
	if len(args) > 1 {
		verb = args[1]
	}
	switch verb {
	case "install":
		return install(args[2:])
	case "version", "--version":
		return printOut("jobmesh-wrap " + version + "\n")
	case "--help", "-h", "help":
		return printOut(helpText())
	}
	opts, command, err := parseOptions(args[1:], environ)
	log := &logger{json: opts.logFormat == formatJSON, quiet: opts.quiet}
	if err == nil && len(command) == 0 {
		err = errNoCommand
	}
	if err != nil {
		log.log(event{severity: failure, name: "usage", text: err.Error(), hint: "jobmesh-wrap --help lists flags and variables"})
		return codeUsage
	}
	r := &run{opts: opts, env: environ, log: log, signals: signals, children: children}
	return r.main(command)
}

func (r *run) main(command []string) int {
	var err error
	if r.plan, err = decide(r.opts, r.env); err != nil {
		return r.internal(err)
	}
	if r.plan.why != "" {
		r.logEvent(event{severity: info, name: "no-mesh", text: "no proxy to wait for: " + r.plan.why})
	}
	if r.plan.detect {
		sig, err := r.detect()
		if err != nil {
			return r.internal(err)
		}
		if sig != 0 {
			return codeSignal + int(sig)
		}
	}
	ready, sig := r.waitReady()
	switch {
	case sig != 0:
		return r.finish(codeSignal+int(sig), min(interruptedStop, r.opts.stopTimeout))
	case !ready && r.opts.onReadyTimeout == onTimeoutFail:
		return r.finish(codeNotReady, r.opts.stopTimeout)
	}
	return r.finish(r.command(command), r.opts.stopTimeout)
}

// command runs the command, or becomes it where nothing is left to do after.
func (r *run) command(argv []string) int {
	env := r.env.forCommand()
	path, failed := lookPath(argv[0], r.env)
	if failed == nil && !r.plan.stops(r.opts) {
		if r.interrupted() {
			return codeSignal + int(r.ending)
		}
		r.logEvent(event{severity: info, name: "command-exec", text: "nothing to do after the command: handing over to it"})
		failed = explainStart(argv[0], path, syscall.Exec(path, argv, env))
	}
	code := 0
	if failed == nil {
		code, failed = r.runCommand(path, argv, env)
	}
	if failed != nil {
		r.logEvent(event{severity: failure, name: "command-not-started", text: failed.text, hint: failed.hint})
		return failed.code
	}
	return code
}

// finish stops the proxies where that is wanted after this code.
func (r *run) finish(code int, limit time.Duration) int {
	if r.opts.wantsStop(code) {
		r.stopProxies(limit)
	}
	return code
}

func (r *run) logEvent(e event) { r.log.log(e) }

func (r *run) internal(err error) int {
	r.logEvent(event{severity: failure, name: "internal", text: err.Error()})
	return codeInternal
}

// printOut writes what a verb was asked to print.
func printOut(text string) int {
	if _, err := os.Stdout.WriteString(text); err != nil {
		return codeInternal
	}
	return 0
}

func helpText() string {
	var b strings.Builder
	b.WriteString(`jobmesh-wrap runs a command beside a mesh proxy: it waits until the proxy is
ready, runs the command as PID 1 would, asks the proxy to stop, and exits with
the command's code.

usage:
  jobmesh-wrap [flags] -- COMMAND [ARG...]
  jobmesh-wrap install DIR    copy itself to DIR/jobmesh-wrap
  jobmesh-wrap version

flags (each has the environment variable shown; the flag wins):
`)
	for _, s := range settings {
		b.WriteString("  --" + s.Name)
		if s.Value != "" {
			b.WriteString(" " + s.Value)
		}
		b.WriteString("  (" + s.Variable() + ")\n      " + s.Usage)
		if s.Default != "" {
			b.WriteString(" (default " + s.Default + ")")
		}
		b.WriteString("\n")
	}
	b.WriteString(`
exit codes: the command's own; 128+n after signal n; 127 command not found;
126 not executable; 64 usage; 69 proxy not ready in time; 70 internal.
`)
	return b.String()
}
