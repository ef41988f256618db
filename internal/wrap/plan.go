package wrap

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// A proxy is what the wrapper waits for and stops.
type proxy struct {
	// name for the log: a mesh's, or "proxy" where only URLs are known.
	name string
	// ready holds checks of which any one will do; empty means no wait.
	ready []check
	// readyState is the "state" that the body of the check has to have, for a
	// check that is answered with 200 whatever the state; empty for most.
	readyState string
	// detect holds requests by whose answer the proxy is known.
	detect []check
	// agent is the stop request of the mesh table, whatever the flags have put in the
	// place of stop. Where nobody listens at its port, fallback is asked whether the proxy
	// is ready, and fallbackStop is what stops it; both are nil for most.
	agent        *plainhttp.Request
	fallback     *check
	fallbackStop *plainhttp.Request
	// stopAfterAnswer is set for a proxy that a stop request breaks which is sent before
	// it has answered.
	stopAfterAnswer bool
	// stop holds the requests that end the proxy; empty means it is not ours
	// to stop, or that stopProcess is.
	stop []*plainhttp.Request
	// stopProcess is the name of the process that is the proxy.
	stopProcess string
	// stopSignal is what that process gets.
	stopSignal syscall.Signal
	// stopSwitch is asked, before the command, whether the stop request will
	// be taken; nil where nothing tells.
	stopSwitch *plainhttp.Request
	// version is the proxy's, where an annotation tells it; nativeVersion says that
	// it is one that is native unless told otherwise.
	version       string
	nativeVersion bool
	// native is set for a sidecar that the kubelet stops.
	native bool
	// stopDisabled, stopElsewhere and grace are those of the mesh table; graceAdvice says
	// how to shorten that grace.
	stopDisabled, stopElsewhere string
	grace                       mesh.Grace
	graceAdvice                 string
	// tokenVariable names the variable whose value is sent with the stop request.
	tokenVariable string
	// asked is set once somebody asked whether it is ready, answered once it has said
	// anything, and seen once it has said yes.
	asked, answered, seen bool
	// ended is set once it is gone, or has taken the stop and drains.
	ended bool
	// missed counts the looks in a row that did not find it any more.
	missed int
}

// A check is a request whose answer says that a proxy is ready.
type check struct {
	*plainhttp.Request
	// body is what the answer has to be; empty for any.
	body string
}

// A plan is what the options and the environment say is to be done.
type plan struct {
	proxies []proxy
	// auto is set where the wrapper itself chooses the proxies, and may miss one.
	auto bool
	// detect is set when nothing says whether a proxy was injected, so that
	// the known ports have to be looked at.
	detect bool
	// why tells the user where a plan without proxies comes from.
	why string
}

// decide makes the plan from the options, the environment and what the pod says. It
// touches nothing.
func decide(o *wrapflags.Options, pod *pod) (plan, error) {
	switch o.Meshes[0] {
	case wrapflags.MeshNone:
		return plan{why: "--mesh none"}, nil
	case wrapflags.MeshAuto:
		return decideAuto(o, pod)
	}
	var proxies []proxy
	for _, name := range o.Meshes {
		m, _ := mesh.ByName(name) // wrapflags let no other name through
		p, err := proxyOf(&m, pod)
		if err != nil {
			return plan{}, err
		}
		proxies = append(proxies, p)
	}
	return plan{proxies: withOverrides(o, proxies)}, nil
}

func decideAuto(o *wrapflags.Options, pod *pod) (plan, error) {
	proxies, told, err := annotated(pod)
	switch {
	case err != nil:
		return plan{}, err
	case len(proxies) > 0:
		return plan{proxies: withOverrides(o, proxies), auto: true}, nil
	case told:
		return plan{why: "the pod's annotations name no mesh"}, nil
	case o.ReadyURL != nil || o.Stop != nil || o.StopProcess != "":
		return plan{proxies: withOverrides(o, []proxy{{name: "proxy"}})}, nil
	}
	return plan{detect: true, auto: true}, nil
}

// annotated returns the proxies that the pod's annotations name. told says that there
// are annotations that would.
func annotated(pod *pod) (proxies []proxy, told bool, err error) {
	told = pod.annotations != nil
	for _, m := range mesh.All() {
		if m.Annotation == "" {
			continue
		}
		annotation, present := pod.word(m.Annotation, m.Variable())
		told = told || present
		if !mesh.Injected(annotation) {
			continue
		}
		p, err := proxyOf(&m, pod)
		if err != nil {
			return nil, told, err
		}
		proxies = append(proxies, p)
	}
	return proxies, told, nil
}

// withOverrides puts --ready-url, --stop and --stop-process in the place of what
// the meshes say, once for all of them.
func withOverrides(o *wrapflags.Options, proxies []proxy) []proxy {
	for i := range proxies {
		if o.ReadyURL != nil || o.NoReady {
			proxies[i].ready, proxies[i].fallback = nil, nil
		}
		if o.Stop != nil || o.StopProcess != "" {
			proxies[i].stop, proxies[i].stopSwitch, proxies[i].fallbackStop = nil, nil, nil
		}
	}
	if o.ReadyURL != nil {
		proxies[0].ready = []check{{Request: plainhttp.NewLocal("GET", *o.ReadyURL)}}
	}
	proxies[0].stopProcess = o.StopProcess
	proxies[0].stopSignal = syscall.Signal(wrapflags.SignalNumber(o.StopSignal))
	proxies[0].stop = append(proxies[0].stop, requests(o.Stop)...)
	return proxies
}

// requests prepares what the command line asks to send.
func requests(list []wrapflags.Request) []*plainhttp.Request {
	var prepared []*plainhttp.Request
	for _, r := range list {
		prepared = append(prepared, plainhttp.NewLocal(r.Method, r.URL))
	}
	return prepared
}

// proxyOf turns a row of the mesh table into requests. A native sidecar gets no
// stop: the kubelet ends it after the Job's container, and would start it again
// if the wrapper ended it first.
func proxyOf(m *mesh.Mesh, pod *pod) (proxy, error) {
	p := proxy{
		name: m.Name, stopDisabled: m.StopDisabled, stopElsewhere: m.StopElsewhere,
		tokenVariable: m.TokenVariable, stopAfterAnswer: m.StopAfterAnswer,
		grace: m.Grace, graceAdvice: m.GraceAdvice(),
	}
	about := func(err error) error { return errors.New("mesh " + m.Name + ": " + err.Error()) }
	var err error
	if p.ready, err = checks(m, m.Ready...); err != nil {
		return p, about(err)
	}
	if p.detect, err = checks(m, m.Detect...); err != nil {
		return p, about(err)
	}
	if len(p.detect) == 0 {
		p.detect = p.ready
	}
	if m.Fallback.Ready != "" {
		found, err := checks(m, m.Fallback.Ready)
		if err != nil {
			return p, about(err)
		}
		p.fallback = &found[0]
	}
	stop, err := wrapflags.ParseRequest(m.Stop)
	if err != nil {
		return p, about(err)
	}
	p.agent = plainhttp.NewLocal(stop.Method, stop.URL)
	if p.native = pod.isNative(m); p.native {
		return p, nil
	}
	if err := p.addStop(m, stop, pod); err != nil {
		return p, about(err)
	}
	return p, nil
}

// addStop adds the requests that end the proxy, and what tells whether they are taken.
func (p *proxy) addStop(m *mesh.Mesh, stop wrapflags.Request, pod *pod) error {
	var headers []string
	if token := pod.env.value(m.TokenVariable); token != "" {
		if strings.ContainsAny(token, "\r\n") {
			return errors.New("variable " + m.TokenVariable + " has a line break in it")
		}
		headers = append(headers, m.TokenHeader+": "+token)
	}
	p.stop = []*plainhttp.Request{plainhttp.NewLocal(stop.Method, stop.URL, headers...)}
	if m.Fallback.Stop != "" {
		fallback, err := wrapflags.ParseRequest(m.Fallback.Stop)
		if err != nil {
			return err
		}
		p.fallbackStop = plainhttp.NewLocal(fallback.Method, fallback.URL)
	}
	if m.StopSwitch != "" {
		p.version, _ = pod.word(m.Annotation, m.Variable())
		p.nativeVersion = m.NativeByDefault(p.version)
		found, err := checks(m, m.StopSwitch)
		if err != nil {
			return err
		}
		p.stopSwitch = found[0].Request
	}
	return nil
}

// checks prepares a GET of each URL.
func checks(m *mesh.Mesh, urls ...string) ([]check, error) {
	var prepared []check
	for _, text := range urls {
		u, err := address.ParseLocal(text)
		if err != nil {
			return nil, err
		}
		prepared = append(prepared, check{Request: plainhttp.NewLocal("GET", u), body: m.ReadyBody[text]})
	}
	return prepared, nil
}

// stoppable reports whether the proxy is the wrapper's to stop.
func (p *proxy) stoppable() bool { return len(p.stop) > 0 || p.stopProcess != "" }

// mayProveNative reports whether the proxy, once it is asked, may turn out to be a native
// sidecar that is not the wrapper's to stop.
func (x proxy) mayProveNative() bool { return x.nativeVersion && x.stopSwitch != nil }

// stops reports whether the wrapper has anything to do after the command.
func (p *plan) stops(o *wrapflags.Options) bool {
	return o.StopWhen != wrapflags.StopNever && slices.ContainsFunc(p.proxies, func(x proxy) bool { return x.stoppable() })
}

// watches reports whether a proxy has to be seen to live while the command runs. A
// native sidecar that dies comes back.
func (p *plan) watches(o *wrapflags.Options) bool {
	return o.OnProxyLost == wrapflags.Fail && slices.ContainsFunc(p.proxies, proxy.watched)
}

func (x proxy) watched() bool { return x.seen && !x.native }

// wantsStop reports whether a proxy is to be stopped after this exit code.
func wantsStop(o *wrapflags.Options, code int) bool {
	if o.RestartCodes.Has(code) {
		return false // the command runs again, and needs it
	}
	return o.StopWhen == wrapflags.StopAlways || o.StopWhen == wrapflags.StopSuccess && code == 0
}
