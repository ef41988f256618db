package wrap

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// Exit codes of linkerd-await. A signal gives 128+n here, where it gave 71.
const (
	codeAwaitUsage = 2
	codeAwaitOS    = 71
)

// linkerdAwait takes the place of linkerd-await: the same flags, variables and
// exit codes. --backoff is checked and otherwise without effect, since this
// wrapper looks far more often.
func (r *run) linkerdAwait(args []string, version string) int {
	f, err := wrapflags.ReadLinkerdAwait(args, r.env.lookup)
	r.log = &logger{quiet: !f.Verbose, warnings: true} // it tells of a timeout always
	r.dropIn = true
	switch {
	case err != nil:
		r.logEvent(event{severity: failure, name: "usage", text: err.Error(), hint: "linkerd-await --help lists the flags"})
		return codeAwaitUsage
	case f.Help:
		return printOut(awaitHelp)
	case f.Version:
		return printOut("linkerd-await " + wrapflags.AwaitVersion + " (jobmesh-wrap " + version + ")\n")
	}
	r.opts = &wrapflags.Options{
		ReadyTimeout: f.Timeout, OnReadyTimeout: wrapflags.Fail, StopWhen: wrapflags.StopNever, StopTimeout: stopLimit(),
	}
	if !f.TimeoutFatal {
		r.opts.OnReadyTimeout = wrapflags.Run
	}
	if f.Disabled != "" {
		r.logEvent(event{severity: info, name: "no-mesh", text: "Linkerd readiness check skipped: " + f.Disabled})
	} else {
		if f.Shutdown {
			r.opts.StopWhen = wrapflags.StopAlways
		}
		p, err := awaitProxy(f.Port, r.readPod())
		if err != nil {
			return r.internal(err)
		}
		r.plan.proxies = []proxy{p}
	}
	if len(f.Command) > 0 {
		code := r.wrap(f.Command)
		if !r.started && (code == codeNotFound || code == codeNotExecutable) {
			return codeAwaitOS
		}
		return code
	}
	r.signals.takeEnding()
	switch ready := r.waitReady(); {
	case r.ending != 0:
		return codeSignal + int(r.ending)
	case !ready && f.TimeoutFatal:
		return codeNotReady
	}
	return 0
}

const awaitHelp = `Wait for linkerd to become ready before running a program.

usage: linkerd-await [flags] [--] [CMD [ARGS...]]

  -p, --port PORT           port of the proxy's admin server (default 4191)
  -b, --backoff DURATION    accepted; this wrapper looks every 10 ms at first
  -S, --shutdown            stop the proxy when the program has ended
  -v, --verbose             log what is done (LINKERD_AWAIT_VERBOSE)
  -t, --timeout DURATION    fail with 69 when the proxy is not ready in time
      --timeout-fatal=BOOL  false: run the program all the same (default true)
  -V, --version
  -h, --help

LINKERD_AWAIT_DISABLED or LINKERD_DISABLED, when not empty, run the program at once.
`

// awaitProxy is Linkerd's proxy at another port. A native one gets no stop.
func awaitProxy(port uint16, pod *pod) (proxy, error) {
	linkerd, _ := mesh.ByName("linkerd") // a row of the table
	_, own, _ := linkerd.StopURL()
	elsewhere := func(url string) string {
		return strings.Replace(url, "127.0.0.1:"+own, "localhost:"+strconv.Itoa(int(port)), 1)
	}
	ready := make([]string, len(linkerd.Ready))
	for i, url := range linkerd.Ready {
		ready[i] = elsewhere(url)
	}
	linkerd.Ready, linkerd.Stop, linkerd.StopSwitch = ready, elsewhere(linkerd.Stop), elsewhere(linkerd.StopSwitch)
	return proxyOf(&linkerd, pod)
}

// scuttle takes the place of scuttle, which is told everything by variables. A
// value it would ignore is ignored here too, with a line that says so.
func (r *run) scuttle(args []string) int {
	s, err := wrapflags.ReadScuttle(args, r.env.lookup)
	r.log = &logger{quiet: s.Quiet}
	for _, text := range s.Ignored {
		r.logEvent(event{severity: warning, name: "usage", text: text})
	}
	switch {
	case err != nil:
		return r.usage(err)
	case len(s.Command) == 0:
		r.logEvent(event{severity: info, name: "usage", text: "no command given: nothing to do"})
		return 0
	}
	r.opts = &wrapflags.Options{
		ReadyTimeout: s.Timeout, OnReadyTimeout: wrapflags.Run, StopWhen: s.StopWhen, StopTimeout: stopLimit(),
	}
	if s.Fatal {
		r.opts.OnReadyTimeout = wrapflags.Fail
	}
	envoy := proxy{name: "envoy", readyState: "LIVE", stop: requests(s.Stop), stopProcess: s.StopProcess, stopSignal: syscall.SIGTERM}
	if s.Envoy != nil {
		envoy.ready = []check{{Request: plainhttp.NewLocal("GET", *s.Envoy)}}
	}
	if istio, _ := mesh.ByName("istio"); r.readPod().isNative(&istio) {
		envoy.leaveNative(&istio)
	}
	if s.Envoy != nil || s.StopWhen != wrapflags.StopNever {
		r.plan.proxies = []proxy{envoy}
	} else {
		r.logEvent(event{severity: info, name: "no-mesh", text: "no proxy to wait for: ENVOY_ADMIN_API is not set"})
	}
	code := r.wrap(s.Command)
	if code == codeNotReady && !r.started {
		return 1 // what scuttle gives
	}
	return code
}

// leaveNative takes out of what is asked to stop what belongs to a native sidecar.
func (p *proxy) leaveNative(m *mesh.Mesh) {
	p.native = true
	p.stop = slices.DeleteFunc(p.stop, func(r *plainhttp.Request) bool {
		return r.String() == m.Stop || slices.Contains(m.Ports(), strconv.Itoa(int(r.URL.Port)))
	})
	if slices.Contains(m.Processes, p.stopProcess) {
		p.stopProcess = ""
	}
}

// stopLimit is how long the stop may take under the drop-in names, which have no flag
// for it.
func stopLimit() time.Duration {
	d, _ := time.ParseDuration(wrapflags.Default("stop-timeout")) // its own setter takes it
	return d
}
