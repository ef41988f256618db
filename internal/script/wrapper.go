package script

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// Outcome says when a proxy is stopped.
type Outcome int

// These are all outcomes.
const (
	// Never means that nothing stops a proxy.
	Never Outcome = iota
	// OnSuccess means that only a successful run stops it.
	OnSuccess
	// Always means that every run stops it.
	Always
	// CannotTell means that it depends on something that is not in the manifest.
	CannotTell
)

// A Wrapper is a program that runs another one, and waits for or stops the proxy.
type Wrapper struct {
	// Name is the name of the program: jobmesh-wrap, linkerd-await, scuttle, envoy-preflight.
	Name string
	// Stops says when it stops the proxies that Meshes, Looks, Asks and AsksElse describe.
	Stops Outcome
	// Keeps are the exit codes of its command after which it stops nothing, because the
	// container is started again. It has every code where they are not known.
	Keeps wrapflags.Codes
	// Meshes are the names of the meshes whose proxy it handles.
	Meshes []string
	// Looks says that it handles the first proxy that it finds at a known port, because it was
	// not told which one there is.
	Looks bool
	// Asks are its own requests and signals, where it was given some. It then sends no others.
	Asks []Stop
	// AsksElse says that one of them goes to something that is not known here.
	AsksElse bool
	// Waits says that it waits for the proxy of the first of Meshes, or for some Envoy where
	// that is empty, and fails or hangs where there is none.
	Waits bool
	// Bound is how long it waits for the proxy; 0 means no limit.
	Bound time.Duration
	// Coordinated says that it is one of several in the pod, of which the last one stops the
	// proxy.
	Coordinated bool
	// Command is the command that it runs.
	Command []string
}

// A Refusal is the message of a wrapper that refuses a command line.
type Refusal struct{ Wrapper, Text string }

// reference matches a reference to a variable, which the kubelet leaves as it is where it does
// not know that variable.
var reference = regexp.MustCompile(`\$\([A-Za-z_][A-Za-z0-9_.-]*\)`)

// unclear marks the parts of a text whose value is unknown, for package wrapflags, which
// expects a NUL byte there. clear removes the marks.
func unclear(text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(found string) string { return "\x00" + found })
}

func clear(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, strings.ReplaceAll(w, "\x00$(", "$("))
	}
	return out
}

// readWrapper recognises a wrapper by the name of its program. A command line without a
// command, such as that of an init container that installs the wrapper, is not a wrapper, but
// may be refused.
func readWrapper(words []string, env map[string]string) (w Wrapper, refused *Refusal, ok bool) {
	if len(words) == 0 {
		return w, nil, false
	}
	var args []string
	for _, word := range words[1:] {
		args = append(args, unclear(word))
	}
	lookup := func(name string) (string, bool) {
		value, set := env[name]
		return unclear(value), set
	}
	w.Name = path.Base(words[0])
	var err error
	ok = true
	switch w.Name {
	case wrapflags.JobmeshWrap:
		ok, err = w.jobmeshWrap(args, lookup)
	case wrapflags.LinkerdAwait:
		err = w.linkerdAwait(args, lookup)
	case wrapflags.Scuttle:
		err = w.scuttle(args, lookup)
	case wrapflags.EnvoyPreflight:
		w.envoyPreflight(args, lookup)
	default:
		return Wrapper{}, nil, false
	}
	if err != nil {
		return Wrapper{Name: w.Name}, &Refusal{w.Name, err.Error()}, ok
	}
	w.Command = clear(w.Command)
	return w, nil, ok
}

// outcomes maps the values of --stop-when.
var outcomes = map[string]Outcome{
	wrapflags.StopAlways: Always,
	// The kubelet runs the container again after a failure, and the container then needs the
	// proxy. This value belongs to restartPolicy OnFailure.
	wrapflags.StopSuccess: OnSuccess,
	wrapflags.StopNever:   Never,
}

func (w *Wrapper) jobmeshWrap(args []string, env wrapflags.Lookup) (runs bool, err error) {
	call, err := wrapflags.ReadJobmeshWrap(args, env)
	if call.Verb != wrapflags.VerbRun {
		return false, err
	}
	o := &call.Options
	w.Command = call.Command
	w.Stops = outcomes[o.StopWhen]
	w.Keeps = o.RestartCodes
	if !o.Knows("restart-codes") {
		w.Keeps = wrapflags.Codes{But: true}
	}
	w.Coordinated = o.StateDir != "" || !o.Knows("state-dir")
	w.Bound = o.ReadyTimeout
	row, named := mesh.ByName(first(o.Meshes))
	switch {
	case named:
		for _, name := range o.Meshes {
			m, _ := mesh.ByName(name)
			w.Meshes = append(w.Meshes, m.Canonical())
		}
	case first(o.Meshes) == wrapflags.MeshNone:
		w.Stops = Never
	default:
		w.Meshes, w.Looks = annotated(env)
	}
	for _, r := range o.Stop {
		w.ask(r.Method, r.URL.Text)
	}
	if o.StopProcess != "" {
		w.signal(o.StopProcess)
	}
	w.AsksElse = w.AsksElse || !o.Knows("stop", "stop-process")
	if w.Stops != Never && !o.Knows("mesh", "stop-when") || call.Open {
		w.Stops = CannotTell
	}
	w.Waits = named && (len(row.Ready) > 0 || o.ReadyURL != nil) && !o.NoReady && o.OnReadyTimeout == wrapflags.Fail &&
		o.Knows("ready-url", "on-ready-timeout") && !call.Open
	return true, err
}

// first returns the first word, and "" for a command line that could not be read to its end.
func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// annotated returns the meshes that the pod may be in, as the environment says. The result
// nothing says that the environment does not mention any mesh.
func annotated(env wrapflags.Lookup) (meshes []string, nothing bool) {
	nothing = true
	for _, m := range mesh.All() {
		if m.Annotation == "" {
			continue
		}
		if value, set := env(m.Variable()); set {
			nothing = false
			if mesh.Injected(value) {
				meshes = append(meshes, m.Name)
			}
		}
	}
	return meshes, nothing
}

// nobody is the mesh of a request that no proxy accepts.
const nobody = "nobody"

// ask records a request of the wrapper.
func (w *Wrapper) ask(method, url string) {
	name, found := stopIn(url)
	switch {
	case found:
		w.Asks = append(w.Asks, Stop{Tool: w.Name, Mesh: name, Post: method == "POST"})
	case strings.Contains(url, "/quitquitquit"):
		w.Asks = append(w.Asks, Stop{Tool: w.Name, Mesh: nobody}) // the proxy does not accept it at this port
	default:
		w.AsksElse = true
	}
}

// signal records a process that the wrapper ends. A process that belongs to no mesh may be a
// helper of that name.
func (w *Wrapper) signal(process string) {
	calls := killed("pkill", []string{"pkill", "-x", process}, process)
	if len(calls) == 0 {
		calls = []Stop{{Mesh: process, Signal: true}}
		w.AsksElse = true
	}
	for _, call := range calls {
		call.Tool = w.Name
		w.Asks = append(w.Asks, call)
	}
}

func (w *Wrapper) linkerdAwait(args []string, env wrapflags.Lookup) error {
	a, err := wrapflags.ReadLinkerdAwait(args, env)
	w.Meshes = []string{"linkerd"}
	w.Command = a.Command
	w.Bound = a.Timeout
	known := func(name string) bool { return !a.Open && !slices.Contains(a.Unknown, name) }
	on := a.Disabled == ""
	if a.Shutdown && (on || !known("LINKERD_AWAIT_DISABLED")) {
		w.Stops = Always
	}
	if a.Open || w.Stops == Always && !known("LINKERD_AWAIT_DISABLED") {
		w.Stops = CannotTell
	}
	w.Waits = on && !a.Help && !a.Version && known("timeout") && known("timeout-fatal") && (a.Timeout == 0 || a.TimeoutFatal)
	return err
}

func (w *Wrapper) scuttle(args []string, env wrapflags.Lookup) error {
	s, err := wrapflags.ReadScuttle(args, env)
	w.Command = s.Command
	w.Stops = outcomes[s.StopWhen]
	w.Bound = s.Timeout
	for _, r := range s.Stop {
		w.ask(r.Method, r.URL.Text)
	}
	if s.StopProcess != "" {
		w.signal(s.StopProcess)
		// The maintained release takes Istio's own port for that of Envoy.
		w.AsksElse = s.Envoy == nil || s.Envoy.Port == 15000
	}
	known := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(s.Unknown, n) })
	}
	only, _ := env("GENERIC_QUIT_ONLY") // in the maintained release, nothing else counts then
	switch {
	case only != "" && only != "false", !known("ENVOY_ADMIN_API"), w.Stops != Never && !known("NEVER_KILL_ISTIO", "NEVER_KILL_ISTIO_ON_FAILURE"):
		w.Stops, w.AsksElse = CannotTell, true
	case !known("ISTIO_QUIT_API", "GENERIC_QUIT_ENDPOINTS"):
		w.AsksElse = true
	}
	// This is scuttle's own test for its own Envoy. For any other address it waits, whatever
	// the pod contains.
	own := s.Envoy != nil && wrapflags.IsLocal(s.Envoy.Text)
	w.Waits = own && (s.Timeout == 0 || s.Fatal) && known("START_WITHOUT_ENVOY", "WAIT_FOR_ENVOY_TIMEOUT", "QUIT_WITHOUT_ENVOY_TIMEOUT")
	return err
}

func (w *Wrapper) envoyPreflight(args []string, env wrapflags.Lookup) {
	p := wrapflags.ReadEnvoyPreflight(args, env)
	w.Command = p.Command
	w.Stops = outcomes[p.StopWhen]
	if w.Stops != Never {
		w.ask("POST", p.Stop)
	}
	if len(p.Unknown) > 0 && (w.Stops != Never || slices.Contains(p.Unknown, "ENVOY_ADMIN_API")) {
		w.Stops, w.AsksElse = CannotTell, true
	}
	w.Waits = p.Waits && len(p.Unknown) == 0
}

// calls returns the calls by which a script that runs the wrapper stops a proxy.
func (w *Wrapper) calls() []Stop {
	calls := slices.Clone(w.Asks)
	switch {
	case w.AsksElse:
		calls = append(calls, Stop{Tool: w.Name, Post: true})
	case len(calls) > 0:
	case w.Looks:
		calls = []Stop{{Tool: w.Name, Post: true, Looks: true}}
	default:
		for _, name := range w.Meshes {
			calls = append(calls, Stop{Tool: w.Name, Mesh: name, Post: true})
		}
	}
	return calls
}
