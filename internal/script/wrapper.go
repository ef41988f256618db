package script

import (
	"path"
	"slices"
	"strings"
)

// Outcome is when a proxy is stopped.
type Outcome int

// The outcomes.
const (
	// Never: nothing here stops a proxy.
	Never Outcome = iota
	// OnSuccess: only a run that succeeds gets there.
	OnSuccess
	// Always: whatever the command does.
	Always
	// CannotTell: it depends on what is not in the manifest.
	CannotTell
)

// A Wrapper is a program that runs another one and minds the proxy.
type Wrapper struct {
	// Name is the program: jobmesh-wrap, linkerd-await, scuttle, envoy-preflight.
	Name string
	// Mesh is whose proxy it stops: empty for whichever there is, "none".
	Mesh string
	// Stops is when it stops the proxy.
	Stops Outcome
	// Waits is set where it waits for a proxy of Mesh even when there is none,
	// and fails or hangs then.
	Waits bool
	// Bound is how long it waits for the proxy, as written; empty for no limit.
	Bound string
	// Coordinated is set where it is one of several in the pod, and the last one
	// stops the proxy.
	Coordinated bool
	// StopProcess is set where it stops the proxy by signal.
	StopProcess string
	// Command is what it runs.
	Command []string
}

// readWrapper recognises a wrapper by the name of its program.
func readWrapper(words []string, env map[string]string) (Wrapper, bool) {
	if len(words) == 0 {
		return Wrapper{}, false
	}
	switch name := path.Base(words[0]); name {
	case "jobmesh-wrap":
		return jobmeshWrap(words[1:], env)
	case "linkerd-await":
		return linkerdAwait(words[1:], env), true
	case "scuttle":
		return scuttle(words[1:], env), true
	case "envoy-preflight":
		return envoyPreflight(words[1:], env), true
	}
	return Wrapper{}, false
}

// options splits a wrapper's command line. The long flags named in plain take no
// value.
func options(words []string, plain ...string) (flags map[string]string, command []string) {
	flags = map[string]string{}
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			return flags, words[i+1:]
		}
		if !strings.HasPrefix(w, "-") {
			return flags, words[i:]
		}
		name, value, has := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if !has && !slices.Contains(plain, name) && i+1 < len(words) && words[i+1] != "--" {
			i++
			value = words[i]
		}
		flags[name] = value
	}
	return flags, nil
}

func jobmeshWrap(words []string, env map[string]string) (Wrapper, bool) {
	if len(words) > 0 && slices.Contains([]string{"install", "probe", "version"}, words[0]) {
		return Wrapper{}, false
	}
	flags, command := options(words, "quiet", "q", "help", "h")
	get := func(name, fallback string) string {
		if v, ok := flags[name]; ok {
			return v
		}
		if v := env["JOBMESH_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]; v != "" {
			return v
		}
		return fallback
	}
	w := Wrapper{
		Name: "jobmesh-wrap", Command: command, Stops: Always,
		Mesh: get("mesh", ""), Bound: get("ready-timeout", "2m"),
		Coordinated: get("state-dir", "") != "",
		StopProcess: get("stop-process", ""),
	}
	if w.Mesh == "auto" {
		w.Mesh = ""
	}
	if w.Bound == "0" || w.Bound == "0s" {
		w.Bound = ""
	}
	if w.Mesh == "none" && get("stop", "") == "" && w.StopProcess == "" {
		w.Stops = Never
	}
	switch get("stop-when", "always") {
	case "never":
		w.Stops = Never
	case "success":
		// The kubelet runs the container again after a failure, and it needs the
		// proxy then: this goes with restartPolicy OnFailure.
		w.Stops = OnSuccess
	}
	// The chart hands over the injector's mark of each mesh: where the pod has
	// none, the command runs at once.
	marked := false
	for name := range env {
		marked = marked || strings.HasPrefix(name, "JOBMESH_POD_")
	}
	w.Waits = w.Mesh != "" && w.Mesh != "none" && !marked && get("on-ready-timeout", "fail") == "fail" && get("ready-url", "") != "none"
	return w, true
}

func linkerdAwait(words []string, env map[string]string) Wrapper {
	flags, command := options(apart(words), "S", "shutdown", "v", "verbose", "V", "version", "h", "help")
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { _, ok := flags[n]; return ok })
	}
	w := Wrapper{Name: "linkerd-await", Mesh: "linkerd", Command: command}
	disabled := env["LINKERD_AWAIT_DISABLED"] != "" || env["LINKERD_DISABLED"] != ""
	if has("S", "shutdown") && !disabled {
		w.Stops = Always
	}
	w.Bound = flags["t"] + flags["timeout"]
	w.Waits = !disabled && flags["timeout-fatal"] != "false"
	return w
}

// apart spells the short flags of linkerd-await one by one: -Sv is -S -v, and -t5m is
// -t 5m.
func apart(words []string) []string {
	var out []string
	for i, w := range words {
		if w == "--" || !strings.HasPrefix(w, "-") && (i == 0 || !strings.HasPrefix(words[i-1], "-")) {
			return append(out, words[i:]...)
		}
		for len(w) > 2 && w[0] == '-' && w[1] != '-' && w[2] != '=' {
			out = append(out, w[:2])
			if w = w[2:]; strings.Contains("SvVh", out[len(out)-1][1:]) {
				w = "-" + w
			}
		}
		out = append(out, w)
	}
	return out
}

func truthy(value string) bool { return value == "true" || value == "1" }

func scuttle(words []string, env map[string]string) Wrapper {
	w := Wrapper{Name: "scuttle", Command: words, Stops: Always}
	admin, quit := env["ENVOY_ADMIN_API"], env["ISTIO_QUIT_API"]
	switch {
	case truthy(env["NEVER_KILL_ISTIO"]):
		w.Stops = Never
	case truthy(env["NEVER_KILL_ISTIO_ON_FAILURE"]):
		w.Stops = OnSuccess
	case admin == "" && quit == "" && env["GENERIC_QUIT_ENDPOINTS"] == "":
		w.Stops = Never
	}
	w.Bound = env["WAIT_FOR_ENVOY_TIMEOUT"] + env["QUIT_WITHOUT_ENVOY_TIMEOUT"]
	w.Waits = admin != "" && !truthy(env["START_WITHOUT_ENVOY"]) && w.Bound == ""
	return w
}

func envoyPreflight(words []string, env map[string]string) Wrapper {
	w := Wrapper{Name: "envoy-preflight", Command: words, Stops: OnSuccess}
	switch {
	case env["ENVOY_ADMIN_API"] == "" && env["ENVOY_KILL_API"] == "", truthy(env["NEVER_KILL_ENVOY"]):
		w.Stops = Never
	case truthy(env["ALWAYS_KILL_ENVOY"]):
		w.Stops = Always
	}
	w.Waits = env["ENVOY_ADMIN_API"] != "" && !truthy(env["START_WITHOUT_ENVOY"])
	return w
}
