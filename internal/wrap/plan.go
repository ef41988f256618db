package wrap

import (
	"errors"
	"slices"

	"github.com/jobmesh/jobmesh/internal/loopback"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// A proxy is what the wrapper waits for and stops.
type proxy struct {
	// name for the log: a mesh's, or "proxy" where only URLs are known.
	name string
	// ready holds checks of which any one will do; empty means no wait.
	ready []*loopback.Request
	// stop holds the requests that end the proxy; empty means it is not ours
	// to stop.
	stop []*loopback.Request
	// stopDisabled is the advice for a stop answered with 404.
	stopDisabled string
}

// A plan is what the options and the environment say is to be done.
type plan struct {
	proxies []proxy
	// detect is set when nothing says whether a proxy was injected, so that
	// the known ports have to be looked at.
	detect bool
	// why tells the user where the plan comes from, for the log.
	why string
}

// decide makes the plan. It touches nothing.
func decide(o Options, env environment) (plan, error) {
	switch o.mesh {
	case meshNone:
		return plan{why: "--mesh none"}, nil
	case meshAuto:
		return decideAuto(o, env)
	}
	m, _ := mesh.ByName(o.mesh) // parseOptions let no other name through
	annotation, _ := env.lookup(m.Variable())
	p, err := proxyOf(m, annotation)
	if err != nil {
		return plan{}, err
	}
	return plan{proxies: withOverrides(o, []proxy{p})}, nil
}

func decideAuto(o Options, env environment) (plan, error) {
	var proxies []proxy
	told := false
	for _, m := range mesh.All() {
		annotation, present := env.lookup(m.Variable())
		told = told || present
		if !mesh.Injected(annotation) {
			continue
		}
		p, err := proxyOf(m, annotation)
		if err != nil {
			return plan{}, err
		}
		proxies = append(proxies, p)
	}
	switch {
	case len(proxies) > 0:
		return plan{proxies: withOverrides(o, proxies)}, nil
	case told:
		return plan{why: "the pod's annotations name no mesh"}, nil
	case o.readyURL != nil || o.stop != nil:
		return plan{proxies: withOverrides(o, []proxy{{name: "proxy"}})}, nil
	}
	return plan{detect: true}, nil
}

// withOverrides puts --ready-url and --stop in the place of what the meshes
// say, once for all of them.
func withOverrides(o Options, proxies []proxy) []proxy {
	for i := range proxies {
		if o.readyURL != nil {
			proxies[i].ready = nil
		}
		if o.stop != nil {
			proxies[i].stop = nil
		}
	}
	if o.readyURL != nil {
		proxies[0].ready = []*loopback.Request{o.readyURL}
	}
	if o.stop != nil {
		proxies[0].stop = o.stop
	}
	return proxies
}

// proxyOf turns a row of the mesh table into requests. A native sidecar gets no
// stop: the kubelet ends it after the Job's container, and would start it again
// if the wrapper ended it first.
func proxyOf(m mesh.Mesh, annotation string) (proxy, error) {
	p := proxy{name: m.Name, stopDisabled: m.StopDisabled}
	for _, text := range m.Ready {
		u, err := loopback.Parse(text)
		if err != nil {
			return p, errors.New("mesh " + m.Name + ": " + err.Error())
		}
		p.ready = append(p.ready, loopback.NewRequest("GET", u))
	}
	if !m.Native(annotation) {
		stop, err := parseRequest(m.Stop)
		if err != nil {
			return p, errors.New("mesh " + m.Name + ": " + err.Error())
		}
		p.stop = []*loopback.Request{stop}
	}
	return p, nil
}

// stops reports whether the wrapper has anything to do after the command.
func (p plan) stops(o Options) bool {
	return o.stopWhen != stopNever && slices.ContainsFunc(p.proxies, func(x proxy) bool { return len(x.stop) > 0 })
}

// wantsStop reports whether a proxy is to be stopped after this exit code.
func (o Options) wantsStop(code int) bool {
	return o.stopWhen == stopAlways || o.stopWhen == stopSuccess && code == 0
}
