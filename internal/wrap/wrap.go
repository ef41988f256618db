// Package wrap is the wrapper: it waits for the mesh proxy of its pod, runs the
// container's command as an init would, asks the proxy to stop, and ends with
// the command's exit code.
//
// A run goes through these steps, each of which is a file:
//
//   - plan.go decides, from flags and the pod's annotations, which proxies there are. It
//     touches nothing.
//   - wait.go asks them again and again whether they are ready, and dependency.go does
//     the same with what the command needs beside them.
//   - command.go starts the command, passes signals on to it (signals.go), reaps
//     whatever ends, and takes the command's exit code. Where nothing is left to do
//     after the command, it takes the wrapper's place instead.
//   - stop.go asks the proxies to stop and looks whether they go. Where several
//     containers of the pod are wrapped, state.go says which of them is the last.
//
// It promises to leave the command alone (arguments, streams, ids, limits) and
// never to let its own trouble keep a Job from ending; docs/what-it-promises.md has
// the list. It links one package beside the standard library, for the messages of name
// servers, and neither net nor fmt, to stay small.
package wrap

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
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
	codeKilled        = codeSignal + int(syscall.SIGKILL)
)

// interruptedStop bounds the stop request after a signal has ended the wait:
// whoever sent it wants the container gone now.
const interruptedStop = 200 * time.Millisecond

// A run is one wrapped command.
type run struct {
	opts    *wrapflags.Options
	pod     *pod
	plan    plan
	env     environment
	log     *logger
	signals *signalQueue
	// member is this container's place among several, nil for the only one.
	member *membership
	// dropIn is set under the name of linkerd-await, which says nothing of a proxy that was
	// never there.
	dropIn bool
	// started is set once the command has been.
	started bool
	// ending is the signal that ended the wait, 0 for none.
	ending syscall.Signal
}

// Main is the program: it takes the arguments (the program's name first), the
// environment and the version, and returns the exit code.
func Main(args, environ []string, version string) int {
	r := &run{env: environ, signals: &signalQueue{}}
	if len(args) == 0 {
		args = []string{InstalledName}
	}
	switch wrapflags.Program(args[0]) {
	case wrapflags.LinkerdAwait:
		return r.linkerdAwait(args[1:], version)
	case wrapflags.Scuttle:
		return r.scuttle(args[1:])
	}
	call, err := wrapflags.ReadJobmeshWrap(args[1:], r.env.lookup)
	r.opts = &call.Options
	r.log = &logger{json: r.opts.LogFormat == wrapflags.JSON, quiet: r.opts.Quiet}
	if err != nil {
		return r.refuse(call.Verb, err)
	}
	if call.Verb != wrapflags.VerbRun {
		endAtSignal()
	}
	switch call.Verb {
	case wrapflags.VerbInstall:
		return install(call)
	case wrapflags.VerbVersion:
		return printOut("jobmesh-wrap " + version + "\n")
	case wrapflags.VerbHelp:
		return printOut(helpText())
	case wrapflags.VerbProbe:
		return r.probe()
	case wrapflags.VerbStop:
		return r.stopNow()
	}
	return r.main(call.Command)
}

// refuse tells what is wrong with the command line. The pod's proxies must not
// outlive a command that never runs: those that the annotations name are asked to stop
// all the same, as far as the flags that could be read let it.
func (r *run) refuse(verb wrapflags.Verb, err error) int {
	code := r.usage(err)
	if verb != wrapflags.VerbRun || r.opts.Meshes[0] == wrapflags.MeshNone {
		return code
	}
	r.signals.takeEnding()
	proxies, _, err := annotated(r.readPod())
	if err != nil {
		return r.internal(err)
	}
	r.plan = plan{proxies: proxies}
	o := r.opts
	switch {
	case !r.plan.stops(o):
		return code
	case o.StateDir != "" && o.Member != "" && o.Members > 0:
		r.member, err = join(o)
		taken := errNameTaken("")
		switch {
		case errors.As(err, &taken):
			return r.internal(err)
		case err != nil:
			r.logState(err)
		}
	case o.StateDir != "" || o.Member != "" || o.Members > 0:
		return code // other containers need the proxy, and cannot be asked whether they still do
	}
	return r.finish(code)
}

func (r *run) usage(err error) int {
	r.logEvent(event{severity: failure, name: "usage", text: err.Error(), hint: "jobmesh-wrap --help lists flags and variables"})
	return codeUsage
}

// main runs a command as the options say.
func (r *run) main(command []string) int {
	r.warnMisspelt()
	r.pod = r.readPod()
	var err error
	if r.plan, err = decide(r.opts, r.pod); err != nil {
		return r.internal(err)
	}
	if r.plan.why != "" {
		r.logEvent(event{severity: info, name: "no-mesh", text: "no proxy to wait for: " + r.plan.why})
	}
	if r.plan.detect {
		r.signals.takeEnding()
		if err := r.detect(); err != nil {
			return r.internal(err)
		}
	}
	return r.wrap(command)
}

// wrap runs a command as the plan says.
func (r *run) wrap(command []string) int {
	if !r.handsOver() || r.waits() {
		r.signals.takeEnding()
	}
	var err error
	if r.plan.stops(r.opts) {
		r.member, err = join(r.opts)
		taken := errNameTaken("")
		switch {
		case errors.As(err, &taken):
			return r.internal(err) // the one who has it needs the proxy
		case isForeign(err):
			// A neighbour's doing is no reason to fail the command: it runs, and the
			// proxy is stopped after it, as if it were the only one.
			r.logState(err)
		case err != nil:
			return r.finish(r.internal(err))
		}
	}
	if !r.handsOver() {
		if !slices.ContainsFunc(r.plan.proxies, proxy.mayProveNative) {
			runtime.UnlockOSThread()
		}
		r.signals.takeAll() // now, while the proxy starts, and not once it is ready
	}
	ready := r.waitReady()
	if r.ending == 0 && (ready || r.opts.OnReadyTimeout == wrapflags.Run) {
		r.checkStops()
		if r.waitForDependencies() {
			return r.finish(r.command(command))
		}
	}
	if r.ending != 0 {
		return r.finish(codeSignal + int(r.ending))
	}
	return r.finish(codeNotReady)
}

// handsOver reports whether nothing is left to do once the command runs.
func (r *run) handsOver() bool {
	return !r.plan.stops(r.opts) && r.opts.KillAfter == 0 && !r.plan.watches(r.opts)
}

// waits reports whether something has to be there before the command starts.
func (r *run) waits() bool {
	return len(r.opts.WaitFor) > 0 || slices.ContainsFunc(r.plan.proxies, func(p proxy) bool { return len(p.ready) > 0 })
}

// command runs the command, or becomes it where nothing is left to do after.
func (r *run) command(argv []string) int {
	if r.interrupted() {
		return codeSignal + int(r.ending)
	}
	env := r.env.forCommand()
	path, failed := lookPath(argv[0], r.env)
	if failed == nil && r.handsOver() {
		if r.opts.StopWhen != wrapflags.StopNever {
			r.nameOthers()
		}
		if r.interrupted() {
			return codeSignal + int(r.ending)
		}
		r.logEvent(event{severity: info, name: "command-exec", text: "nothing to do after the command: handing over to it"})
		if r.ending = r.signals.giveUp(); r.ending != 0 {
			return codeSignal + int(r.ending)
		}
		if r.ending = settle(); r.ending != 0 {
			return codeSignal + int(r.ending)
		}
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

// finish stops the proxies where that is wanted after this code, and where no
// other container of the pod still needs them.
func (r *run) finish(code int) int {
	if !r.plan.stops(r.opts) {
		return code
	}
	if !wantsStop(r.opts, code) {
		if r.member != nil {
			if err := r.member.restarts(); err != nil {
				r.logState(err)
			}
		}
		return code
	}
	if r.member != nil {
		last, err := r.member.leave()
		if err != nil {
			r.logState(err)
		}
		if !last {
			r.logEvent(event{severity: info, name: "proxy-left", text: "other containers of the pod still run: the proxy is left to them"})
			return code
		}
	}
	limit := r.opts.StopTimeout
	if r.ending != 0 {
		limit = min(limit, interruptedStop)
	}
	r.stopProxies(code, limit)
	r.nameOthers()
	return code
}

func (r *run) logEvent(e event) { r.log.log(e) }

// logState tells what is wrong with the folder that the containers share.
func (r *run) logState(err error) {
	e := event{severity: failure, name: "state", text: err.Error()}
	if isForeign(err) {
		e.hint = foreignHint
	}
	r.logEvent(e)
}

func (r *run) internal(err error) int {
	r.logEvent(event{severity: failure, name: "internal", text: err.Error()})
	return codeInternal
}

// printOut writes what a verb was asked to print.
func printOut(text string) int {
	if err := writeAll(syscall.Stdout, []byte(text)); err != nil {
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
  jobmesh-wrap install [--state-dir STATE] [DIR]
                              copy this program to DIR/jobmesh-wrap, and write
                              to DIR/jobmesh-native which proxies answer by now;
                              remove from the folder STATE what the pod's
                              containers left there before they all started again
  jobmesh-wrap install --from FILE DIR
                              copy FILE, another program of this image, to DIR
  jobmesh-wrap probe [flags]  print which proxies are there and how each would be
                              stopped; it stops none (--log-format json for JSON)
  jobmesh-wrap stop [flags]   stop the proxies that probe prints, now; exit 0 when
                              they are gone, were never there or took the stop,
                              69 when not
  jobmesh-wrap version        print the version

flags (each has the environment variable shown; the flag wins):
`)
	for _, s := range wrapflags.Settings() {
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
126 not executable; 64 usage; 69 proxy or dependency not ready in time, or proxy
lost; 70 internal.
`)
	return b.String()
}
