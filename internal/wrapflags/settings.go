package wrapflags

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// These are the values of --mesh beside the names in the mesh table.
const (
	MeshAuto = "auto"
	MeshNone = "none"
)

// These are the values of --stop-when.
const (
	StopAlways  = "always"
	StopSuccess = "success"
	StopNever   = "never"
)

// These are the values of --on-ready-timeout and --on-proxy-lost.
const (
	Fail = "fail"
	Run  = "run"
)

// These are the values of --log-format.
const (
	Text = "text"
	JSON = "json"
)

// readyNone is the value of --ready-url that means no readiness check.
const readyNone = "none"

// Options are the settings of one run, from flags and environment.
type Options struct {
	Meshes         []string      // MeshAuto or MeshNone alone, or names of the table, each once
	Native         []string      // meshes and containers that are native sidecars
	PodAnnotations string        // empty: annotations in the folder DIR-pod, DIR being that of the program
	ReadyURL       *address.URL  // nil: the mesh's own
	NoReady        bool          // no readiness check, not even the mesh's
	Stop           []Request     // nil: the mesh's own
	StopProcess    string        // a process instead of a request
	StopSignal     string        // what it gets, without SIG; empty: TERM
	RestartCodes   Codes         // after these the container starts again
	ReadyTimeout   time.Duration // 0: no limit
	OnReadyTimeout string
	DetectTimeout  time.Duration
	StopWhen       string
	StopTimeout    time.Duration
	KillAfter      time.Duration // 0: never
	OnProxyLost    string
	WaitFor        []Dependency
	WaitForTimeout time.Duration // 0: no limit
	StateDir       string        // empty: the only wrapped container
	Member         string
	Members        int
	LogFormat      string
	Quiet          bool

	// Unknown are the names of settings whose value is not known. Such a setting has its
	// default.
	Unknown []string
}

// A Setting is one flag of jobmesh-wrap and its environment variable. A row of the table has
// everything that is to be said about it: the wrapper, lint, the library chart and the docs
// read it.
type Setting struct {
	// Name is the name without the leading dashes.
	Name string
	// Value is the placeholder for the value in the help text; it is empty for a flag without a
	// value. Words with bars between them are the only values.
	Value string
	// Default is the default as it would stand on the command line.
	Default string
	// Usage is one sentence on what the flag does.
	Usage string
	// Repeatable says that the flag collects its values; the variable has one on each line.
	Repeatable bool
	// Commas says that one value may be several with commas between them.
	Commas bool
	// Chart says how the library chart takes the setting, under its value `wrapper`.
	Chart Chart

	set func(*Options, string) error
}

// A Chart says how the library chart takes a setting.
type Chart struct {
	// Derived says that the chart has no such value: it decides by itself, from the pod and
	// from other values.
	Derived bool
	// Form is the form that a text must have, for templates and for the schema.
	Form Form
	// Hook says that mode hook, which has no wrapper, does the same.
	Hook bool
	// Note is added to Usage where the chart has another default.
	Note string
}

// A Form is a regular expression, and words for the texts that it matches. It may match more
// than the setting accepts, because it only has to find mistakes before there is a pod.
type Form struct{ Pattern, Words string }

// These are the forms. None of them matches the empty text, which means that nothing was set.
var (
	aDuration = Form{`^(0|([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+)$`, "a duration such as 500ms, 30s or 2m"}
	someTime  = Form{`^[1-9][0-9]*(\.[0-9]+)?(ms|s|m|h)([0-9]+(ms|s|m|h))*$`, aDuration.Words}
	aRequest  = Form{`^[A-Z]+ https?://.`, "'METHOD URL', as in POST http://127.0.0.1:4191/shutdown"}
	aCheck    = Form{`^(https?://.|none$)`, "none or a URL such as http://127.0.0.1:4191/ready"}
	aProcess  = Form{`^[^/=]+(=(SIG)?[A-Z]+[12]?)?$`, "the name of a process, without a path, and the signal where it is not TERM, as in pgbouncer=INT"}
	aTarget   = Form{`^(tcp|tls|https?)://.`, "a URL such as tcp://database:5432, tls://broker:5671 or http://queue:8080/ready"}
)

// Settings returns the flags in the order of the reference. The caller must not
// change it.
func Settings() []Setting { return settings }

// Default returns the default of a setting as it would stand on the command line.
func Default(name string) string {
	s, _ := settingNamed(name)
	return s.Default
}

var settings = []Setting{
	{
		Name: "mesh", Value: "NAME[,NAME]", Default: MeshAuto, Repeatable: true, Commas: true, Chart: Chart{Derived: true},
		Usage: "which mesh the pod is in: auto, none, or one or more of " + strings.Join(mesh.Names(), ", ") + ", which are all waited for and all stopped",
		set: func(o *Options, v string) error {
			var name string
			err := oneOf(&name, v, append([]string{MeshAuto, MeshNone}, mesh.Names()...)...)
			if err == nil {
				o.Meshes = appendNew(o.Meshes, name)
			}
			return err
		},
	},
	{
		Name: "native", Value: "NAME[,NAME]", Repeatable: true, Commas: true, Chart: Chart{Derived: true},
		Usage: "meshes, or containers of the pod, that are native sidecars: they are waited for and never stopped; the pod annotation " + mesh.NativeAnnotation + " says the same",
		set: func(o *Options, v string) error {
			if !isContainerName(v) {
				return errors.New(strconv.Quote(v) + " is not the name of a mesh or of a container")
			}
			o.Native = appendNew(o.Native, v)
			return nil
		},
	},
	{
		Name: "pod-annotations", Value: "FILE", Chart: Chart{Derived: true},
		Usage: "the pod's annotations, as the downward API writes them to a file; where it is not set, DIR-pod/annotations, DIR being the folder of this program",
		set: func(o *Options, v string) error {
			o.PodAnnotations = v
			return nil
		},
	},
	{
		Name: "ready-url", Value: "URL", Chart: Chart{Form: aCheck, Hook: true},
		Usage: "replaces the mesh's readiness check; an answer of 200-299 means ready; none in its place means that the proxy is not waited for",
		set: func(o *Options, v string) error {
			if o.NoReady = v == readyNone; o.NoReady {
				return nil
			}
			u, err := address.ParseLocal(v)
			if err == nil {
				o.ReadyURL = &u
			}
			return err
		},
	},
	{
		Name: "stop", Value: "'METHOD URL'", Repeatable: true, Chart: Chart{Form: aRequest, Hook: true},
		Usage: "replaces the mesh's stop request; several are sent in the order given, and a failed one does not prevent the next",
		set: func(o *Options, v string) error {
			request, err := ParseRequest(v)
			if err == nil {
				o.Stop = append(o.Stop, request)
			}
			return err
		},
	},
	{
		Name: "stop-process", Value: "NAME[=SIGNAL]", Chart: Chart{Form: aProcess},
		Usage: "stops the processes of that name with SIGTERM or with the signal given, or with SIGKILL after a command that failed, instead of a request; for pods that share the process namespace",
		set: func(o *Options, v string) (err error) {
			o.StopProcess, o.StopSignal, err = parseProcess(v)
			return err
		},
	},
	{
		Name: "restart-codes", Value: "LIST", Chart: Chart{Derived: true},
		Usage: "exit codes after which the kubelet starts this container again in the same pod, so that the proxy is not stopped: 42,88 or, for every code but these, !0,1",
		set: func(o *Options, v string) (err error) {
			o.RestartCodes, err = parseCodes(v)
			return err
		},
	},
	{
		Name: "ready-timeout", Value: "DURATION", Default: "2m", Chart: Chart{Form: aDuration, Hook: true},
		Usage: "how long to wait for the proxy; 0 means for ever",
		set:   func(o *Options, v string) error { return duration(&o.ReadyTimeout, v, 0) },
	},
	{
		Name: "on-ready-timeout", Value: "fail|run", Default: Fail, Chart: Chart{Hook: true},
		Usage: "what to do when the proxy is not ready in time: fail with exit code 69 and ask the proxy to stop, or run the command all the same",
		set:   func(o *Options, v string) error { return oneOf(&o.OnReadyTimeout, v, Fail, Run) },
	},
	{
		Name: "detect-timeout", Value: "DURATION", Default: "5s", Chart: Chart{Form: aDuration},
		Usage: "how long auto looks for a proxy when nothing says whether one was injected",
		set:   func(o *Options, v string) error { return duration(&o.DetectTimeout, v, 0) },
	},
	{
		Name: "stop-when", Value: "always|success|never", Default: StopAlways,
		Chart: Chart{Hook: true, Note: "in the chart it follows from restartPolicy where it is not set: always for Never, success for OnFailure, never for Always"},
		Usage: "when to stop the proxy after the command: always, only after exit code 0 (for pods that restart it), or never",
		set:   func(o *Options, v string) error { return oneOf(&o.StopWhen, v, StopAlways, StopSuccess, StopNever) },
	},
	{
		Name: "stop-timeout", Value: "DURATION", Default: "5s", Chart: Chart{Form: someTime},
		Usage: "limit for sending the stop request, repeating it, and seeing the proxy gone, all together",
		set:   func(o *Options, v string) error { return duration(&o.StopTimeout, v, time.Millisecond) },
	},
	{
		Name: "kill-after", Value: "DURATION", Default: "0", Chart: Chart{Form: aDuration},
		Usage: "how long after a SIGTERM the command is killed if it is still there; 0 means never",
		set:   func(o *Options, v string) error { return duration(&o.KillAfter, v, 0) },
	},
	{
		Name: "on-proxy-lost", Value: "run|fail", Default: Run,
		Usage: "what to do when the proxy goes while the command runs: let the command run, or end it with SIGTERM, and exit with 69",
		set:   func(o *Options, v string) error { return oneOf(&o.OnProxyLost, v, Run, Fail) },
	},
	{
		Name: "wait-for", Value: "URL", Repeatable: true, Chart: Chart{Form: aTarget},
		Usage: "waits for tcp://HOST:PORT, tls://HOST:PORT (a TLS answer) or http://... (an answer of 200-299) after the proxy is ready and before the command; https:// is the old name of tls://",
		set: func(o *Options, v string) error {
			d, err := parseDependency(v)
			if err == nil {
				o.WaitFor = append(o.WaitFor, d)
			}
			return err
		},
	},
	{
		Name: "wait-for-timeout", Value: "DURATION", Default: "2m", Chart: Chart{Form: aDuration},
		Usage: "limit for all of --wait-for together, exit code 69 when it is over; 0 means for ever",
		set:   func(o *Options, v string) error { return duration(&o.WaitForTimeout, v, 0) },
	},
	{
		Name: "state-dir", Value: "DIR", Chart: Chart{Derived: true},
		Usage: "folder shared by the wrapped containers of a pod: the last one to end stops the proxy",
		set: func(o *Options, v string) error {
			o.StateDir = v
			return nil
		},
	},
	{
		Name: "member", Value: "NAME", Chart: Chart{Derived: true},
		Usage: "name of this container in --state-dir",
		set: func(o *Options, v string) error {
			if v == "" || v[0] == '.' || strings.Contains(v, "/") {
				return errors.New(strconv.Quote(v) + " is not the name of a container")
			}
			o.Member = v
			return nil
		},
	},
	{
		Name: "members", Value: "N", Chart: Chart{Derived: true},
		Usage: "how many wrapped containers the pod has",
		set: func(o *Options, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return errors.New(strconv.Quote(v) + " is not a number from 1 on")
			}
			o.Members = n
			return nil
		},
	},
	{
		Name: "log-format", Value: "text|json", Default: Text,
		Usage: "form of the wrapper's own lines on stderr",
		set:   func(o *Options, v string) error { return oneOf(&o.LogFormat, v, Text, JSON) },
	},
	{
		Name: "quiet", Default: "false",
		Usage: "write errors only",
		set: func(o *Options, v string) (err error) {
			if o.Quiet, err = strconv.ParseBool(v); err != nil {
				return errors.New(strconv.Quote(v) + " is neither true nor false")
			}
			return nil
		},
	},
}

// VariablePrefix is the prefix of the wrapper's environment variables.
const VariablePrefix = "JOBMESH_"

// Variable returns the name of the setting's environment variable.
func (s Setting) Variable() string {
	return VariablePrefix + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Key returns the name of the setting under `wrapper` in the library chart: readyTimeout for
// ready-timeout.
func (s Setting) Key() string {
	words := strings.Split(s.Name, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// stateDir is the only setting that install has, too.
var stateDir, _ = settingNamed("state-dir")

func settingNamed(name string) (Setting, bool) {
	for _, s := range settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}
