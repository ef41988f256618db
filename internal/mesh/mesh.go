// Package mesh is the table of service meshes, and of the other proxies that a container may
// have to wait for and to stop. No other place knows them: the wrapper, jobmesh lint, jobmesh
// inject, the library chart, its schema and the documentation read the table or are generated
// from it.
//
// The rows are in facts.go; this file describes what a row can have. A new mesh is one row and
// `make generate`.
//
// The package imports nothing but strings, strconv and errors, because the wrapper links it.
package mesh

import (
	"strconv"
	"strings"
)

// A Mesh is one row of the table. All addresses are on the pod's loopback.
type Mesh struct {
	// Name is the value of --mesh; Title is the name as its makers write it.
	Name, Title string
	// Checked is the release that the row was last compared with, and Sources says where.
	Checked string
	Sources []string

	// Annotation is the annotation that the injector sets on a pod into which it has put the
	// proxy. The wrapper gets its value in the environment variable Variable(). It is empty for
	// a proxy without an injector, which the user has to name.
	Annotation string
	// Ready lists the URLs of the readiness check. The proxy is ready when a GET of any one of
	// them is answered with 200-299. Empty where a proxy has no such check.
	Ready []string
	// ReadyBody is the body that an answer has to have, without white space around it, keyed by
	// the URL of Ready. For a URL without an entry any body will do.
	ReadyBody map[string]string
	// Detect lists URLs at which an answer of 200-299 or 503 shows that the proxy is there, for
	// a wrapper that was not told the mesh. Where it is empty, Ready is used.
	Detect []string
	// Stop is "METHOD URL", the request after which the proxy exits. StopByGet says that the
	// proxy accepts a GET too.
	Stop      string
	StopByGet bool
	// TokenHeader is a header of the stop request. Its value is that of the environment
	// variable TokenVariable; without that variable it is not sent.
	TokenHeader, TokenVariable string
	// StopSwitch is the URL at which the proxy says whether the stop request is on. The answer
	// is a JSON object whose key is the query of the URL.
	StopSwitch string
	// StopNeeds is the annotation that a pod has to have so that the stop request is on.
	StopNeeds Switch
	// StopDisabled tells the user what to change when the stop request is answered with 404,
	// which means that the endpoint is switched off.
	StopDisabled string
	// StopAfterAnswer says that the proxy cannot be stopped any more if the stop request is
	// sent before the proxy has answered at a URL of Ready.
	StopAfterAnswer bool
	// Fallback has the addresses that are used when nobody listens at the port of Stop.
	Fallback Fallback
	// StopElsewhere says who stops the proxy where nobody listens at the stop URL. It is empty
	// where nobody does.
	StopElsewhere string

	// Inject says how a pod gets the proxy, and Native says when that is a native sidecar.
	Inject Injection
	Native Native
	// Platforms are managed installations of the mesh that decide in another way than the mesh
	// itself.
	Platforms []Platform
	// Wrap lists the annotations for a pod whose proxy the wrapper will stop.
	Wrap []Setting
	// Grace is how long the proxy keeps running after it has accepted the stop request, where
	// that is known.
	Grace Grace
	// SkipPorts is the annotation with the outbound ports that bypass the proxy. SkipNetworks
	// lists the annotations for other traffic that bypasses it.
	SkipPorts    Word
	SkipNetworks []string
	// User is the user id of the proxy: the traffic of processes with that id bypasses the
	// proxy. It is 0 where the mesh does not redirect traffic before the proxy runs.
	User int

	// Container is the name of the proxy's container.
	Container string
	// Inits are the names of the init containers that the injector adds with it: those that
	// redirect the traffic, or check that it is redirected.
	Inits []string
	// ReadyAfter is the annotation of a pod in which the readiness probe of the proxy fails
	// until the application answers. Empty where the proxy never waits for the application.
	ReadyAfter string
	// Processes are the process names of the proxy to which a signal is sent.
	Processes []string
	// Client is a program in the proxy's container that can send the stop request.
	Client string
	// AdminPorts are further ports that serve readiness and the path of Stop, beside those of
	// Ready, Detect and Stop. DeafPorts are ports of the proxy at which /quitquitquit has no
	// effect.
	AdminPorts, DeafPorts []string
	// Alike is the name of another row with the same ports and paths. The ports do not
	// distinguish the two proxies, so the wrapper takes this one for that one.
	Alike string
	// Shared says that the proxies of other rows are the same program: a call that names only
	// the program, or only the path of Stop, may be meant for any of them.
	Shared bool
	// Shell says that the image has a shell and kill, which Argo Workflows needs to end the
	// container. KillCommand is the command that ends it, as a JSON list, where Argo has to be
	// told one.
	Shell       bool
	KillCommand string

	// Rule is the rule of jobmesh lint that says "this proxy outlives the Job". It is empty
	// where somebody else stops the proxy. WrittenRule replaces it where the proxy is written
	// into the manifest.
	Rule, WrittenRule string
	// Domain is a part of the domain of the mesh's labels and annotations. Prefixes are the
	// prefixes of those that only this mesh reads.
	Domain   string
	Prefixes []string
	// Words are further labels and annotations that lint knows, beside those above. Nearby are
	// keys that the mesh reads and whose spelling is similar to one of them.
	Words  []Word
	Nearby []string
}

// A Fallback is a port of the proxy that is always open, beside those that can be moved or
// switched off. The fields are as in a Mesh: Ready is a URL, and Stop is "METHOD URL". They are
// empty where there is no such port.
type Fallback struct{ Ready, Stop string }

// A Word is a label or an annotation that the mesh reads.
type Word struct {
	Key string
	// Label and Annotation say where the mesh reads it. For an Injection, Levels says that.
	Label, Annotation bool
	// Read says how the mesh reads the value. Exact are the values that it knows, and Other
	// says how it reads any other value.
	Read  Reading
	Exact []string
	Other string
	// Alike are other spellings that people use and that the mesh does not read.
	Alike []string
}

// A Setting is a label or an annotation with its value.
type Setting struct{ Key, Value string }

// A Grace is a time that a proxy takes itself after a stop request.
type Grace struct {
	// Key is the annotation that sets it, and Seconds how long it is without. Wrap has the
	// value that suits a Job.
	Key     string
	Seconds int
	// Unseen says that the proxy closes the ports of Ready and Stop when it begins, so
	// that nobody can tell from outside when it is over.
	Unseen bool
}

// Default is how long it is without the annotation, for people.
func (g Grace) Default() string { return strconv.Itoa(g.Seconds) + " s" }

// GraceAdvice says which annotation makes the proxy end quickly, and returns "" where no
// annotation is known to do that.
func (m *Mesh) GraceAdvice() string {
	for _, s := range m.Wrap {
		if s.Key == m.Grace.Key {
			return "annotate the pod with " + s.Key + ": " + strconv.Quote(s.Value)
		}
	}
	return ""
}

// A Switch is an annotation that turns the stop request on.
type Switch struct {
	Word
	// Value is the value that turns it on. Without the annotation the request is off since the
	// release Since; where that is not known, it is always off.
	Value string
	Since Version
	// Rule is the lint rule that reports a request that is off.
	Rule string
}

// A Level is a place where a mesh reads a label or annotation.
type Level int

// These are all levels.
const (
	PodLabel Level = iota
	PodAnnotation
	NamespaceLabel
	NamespaceAnnotation
)

// Injection says how a pod gets the proxy, and how it opts out. The key is empty for a proxy
// without an injector.
type Injection struct {
	Word
	// Levels are the places where Key is read. The first place that has it decides.
	Levels []Level
	// Yes are the values that ask for the proxy, where Read is Words. No are the values that
	// opt out, the usual one first.
	Yes, No []string
	// OptOut are the places into which mode optOut writes Key.
	OptOut []Level
	// WhenAsked says that only Key on the pod brings the proxy: a pod does not get it because
	// of its namespace.
	WhenAsked bool
	// HostNetwork says that a pod with hostNetwork: true gets the proxy, too.
	HostNetwork bool
	// Spared are namespaces that the webhook, as it is installed, ignores, whatever a pod there
	// asks for.
	Spared []string
	// InitOnly is a label or annotation with which the pod gets an init container that ends,
	// and no proxy.
	InitOnly Word
}

// Native says when the proxy is a native sidecar: an init container with restartPolicy Always,
// which the kubelet stops by itself.
type Native struct {
	// Words are the annotations that decide; the first one wins. Read says how their values are
	// read. Mode native writes "true".
	Words []NativeWord
	Read  Reading
	// Exact and Other have the same meaning as in a Word.
	Exact []string
	Other string
	// Namespace says that the mesh also reads them on the namespace, after the pod.
	Namespace bool
	// Setting is the first release with a setting of the installation that makes all proxies
	// native sidecars.
	Setting Version
	// Default is the first release in which the proxy is native by default; it is unknown where
	// it never is. DefaultKubelet is the oldest kubelet of the cluster with which that default
	// holds.
	Default, DefaultKubelet Version
	// SettingSource and DefaultSource are the sources of these two facts.
	SettingSource, DefaultSource string
	// Status is a key in the JSON of the mesh's Annotation: it lists the proxy's container
	// where that is native.
	Status string
}

// A NativeWord is one annotation of Native.Words.
type NativeWord struct {
	Name string
	// Since is the first release that reads it, and Source says where that is documented.
	Since  Version
	Source string
	// Variable is the environment variable that passes its value to the wrapper. The table has
	// it only where it differs from the one that NativeVariables derives from the name of the
	// mesh.
	Variable string
	// Alike has the same meaning as in a Word.
	Alike []string
}

// A Platform is a mesh that a provider installs and upgrades. It reads the annotations of the
// mesh itself, but has defaults of its own.
type Platform struct {
	// Name stands behind the name of the mesh and an @, as in --mesh istio@asm. Title describes
	// the platform.
	Name, Title string
	// Version is the release of the mesh that it installs. It is not known where the provider
	// offers several.
	Version Version
	// Revisions says that the name may contain a release, as in the revisions of the provider:
	// aks-asm-1-28-new is aks-new with the release 1.28.
	Revisions bool
	// Default is the first release of the mesh in which the proxy is native by default; it is
	// unknown where it never is. Kubernetes is the oldest version of the cluster with which
	// that default holds.
	Default, Kubernetes Version
	// Source says where that is documented.
	Source string
}

// All returns the rows in the order of the table. The caller must not change them.
func All() []Mesh { return table }

// Names returns the names in the order of the table.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return names
}

// ByName returns the row with that name.
func ByName(name string) (Mesh, bool) {
	for i := range table {
		if table[i].Name == name {
			return table[i], true
		}
	}
	return Mesh{}, false
}

// Newest returns the release that the row was last compared with, which is the newest supported
// one. It is not known where Checked names no release.
func (m *Mesh) Newest() Version {
	for _, word := range strings.Fields(m.Checked) {
		if v, err := ParseVersion(word); err == nil {
			return v
		}
	}
	return Version{}
}

// PlatformOf returns the platform with that name. The name may contain a release, between the
// provider and the last word: aks-asm-1-28-upgraded.
func (m *Mesh) PlatformOf(name string) (Platform, bool) {
	for _, p := range m.Platforms {
		if p.Name == name {
			return p, true
		}
		provider, state, _ := strings.Cut(p.Name, "-")
		revision, front := strings.CutPrefix(name, provider+"-asm-")
		revision, back := strings.CutSuffix(revision, "-"+state)
		if !p.Revisions || !front || !back {
			continue
		}
		if v, err := ParseVersion(strings.Replace(revision, "-", ".", 1)); err == nil {
			p.Name, p.Version = name, v
			return p, true
		}
	}
	return Platform{}, false
}

// Variable returns the name of the environment variable that carries the value of the mesh's
// pod annotation into the wrapped container, and "" where the mesh has no annotation.
func (m *Mesh) Variable() string {
	if m.Annotation == "" {
		return ""
	}
	return "JOBMESH_POD_" + strings.ToUpper(m.Name)
}

// Redirects reports whether the traffic of every container goes through the proxy, so that no
// container has a network without it. A proxy that also gets into pods with hostNetwork cannot
// do that.
func (m *Mesh) Redirects() bool { return m.Annotation != "" && !m.Inject.HostNetwork }

// Injected reports whether the value of an annotation says that a proxy was injected. For an
// absent annotation the downward API gives an empty value.
func Injected(annotation string) bool {
	return annotation != "" && annotation != "false"
}

// NativeVariables returns what tells the wrapper that the proxy is a native sidecar; the first
// one wins. These are the annotations of Native.Words, each with the environment variable of
// the same meaning, for a pod without a file of its annotations. Where the pod's annotations do
// not decide, because the mesh has none or because the injector itself says what it has made,
// there is one variable without an annotation. It returns nil for a proxy without an injector.
func (m *Mesh) NativeVariables() []NativeWord {
	usual := m.Variable() + "_NATIVE"
	switch {
	case m.Annotation == "":
		return nil
	case m.Native.Status != "" || len(m.Native.Words) == 0:
		return []NativeWord{{Variable: usual}}
	}
	words := make([]NativeWord, len(m.Native.Words))
	for i, w := range m.Native.Words {
		if w.Variable == "" {
			w.Variable = usual
		}
		words[i] = w
	}
	return words
}

// IsNative reports whether the pod's annotations show that the proxy runs as a native sidecar.
// The kubelet stops such a proxy by itself, and restarts it when anybody else stops it. The
// function lookup returns the value of an annotation, or that of the variable of the same
// meaning.
func (m *Mesh) IsNative(lookup func(annotation, variable string) string) bool {
	for _, w := range m.NativeVariables() {
		read := m.Native.Read
		if w.Name == "" {
			read = GoBool // the variable is one of jobmesh
		}
		if yes, known := read.Bool(lookup(w.Name, w.Variable)); known {
			return yes
		}
	}
	return m.Native.Status != "" && lists(lookup(m.Annotation, m.Variable()), m.Native.Status, m.Container)
}

// Is reports whether a name means this row: its own name, that of its container, or that of a
// row with the same ports and paths.
func (m *Mesh) Is(name string) bool {
	return name != "" && (name == m.Name || name == m.Container || name == m.Alike)
}

// NativeByDefault reports whether a proxy of this version runs as a native sidecar by default.
// The version is the value of Annotation.
func (m *Mesh) NativeByDefault(version string) bool {
	v, err := ParseVersion(version)
	since := m.Native.Default
	return err == nil && since.Known() && v.AtLeast(since.Major, since.Minor)
}

// StopOff reports whether the answer of a StopSwitch says that the stop request is off. The
// result known is false where the answer does not say.
func StopOff(stopSwitch, body string) (off, known bool) {
	_, key, _ := strings.Cut(stopSwitch, "?")
	v, found := topLevel(body, key)
	switch {
	case !found:
		return false, false
	case v.kind == '"':
		return v.text != "true", true
	}
	return true, true // null means not set, and the default is off
}

// StopURL returns the parts of Stop, as in "POST", "4191" and "/shutdown".
func (m *Mesh) StopURL() (method, port, path string) {
	method, url, _ := strings.Cut(m.Stop, " ")
	port, path = portAndPath(url)
	return method, port, path
}

// Canonical returns the name under which the wrapper knows this proxy by its ports: the row's
// own name, or that of the row with the same ports.
func (m *Mesh) Canonical() string {
	if m.Alike != "" {
		return m.Alike
	}
	return m.Name
}

// Ports returns every port at which the wrapper sends a request to the proxy.
func (m *Mesh) Ports() []string {
	_, stop, _ := m.StopURL()
	ports := append(m.ReadyPorts(), stop)
	if m.Fallback.Ready != "" {
		port, _ := portAndPath(m.Fallback.Ready)
		ports = append(ports, port)
	}
	return ports
}

// ReadyPorts returns the ports at which the proxy says whether it is ready.
func (m *Mesh) ReadyPorts() []string {
	var ports []string
	for _, urls := range [][]string{m.Ready, m.Detect} {
		for _, url := range urls {
			port, _ := portAndPath(url)
			ports = append(ports, port)
		}
	}
	return append(ports, m.AdminPorts...)
}

// portAndPath splits a URL such as http://127.0.0.1:4191/ready.
func portAndPath(url string) (port, path string) {
	_, rest, _ := strings.Cut(url, "://")
	host, path, _ := strings.Cut(rest, "/")
	_, port, _ = strings.Cut(host, ":")
	return port, "/" + path
}

// AllWords returns every label and annotation that lint knows of the mesh.
func (m *Mesh) AllWords() []Word {
	var words []Word
	add := func(w Word) {
		if w.Key != "" {
			words = append(words, w)
		}
	}
	inject := m.Inject.Word
	for _, level := range m.Inject.Levels {
		inject.Label = inject.Label || level == PodLabel
		inject.Annotation = inject.Annotation || level == PodAnnotation
	}
	add(inject)
	for _, n := range m.Native.Words {
		add(Word{Key: n.Name, Annotation: true, Read: m.Native.Read, Exact: m.Native.Exact, Other: m.Native.Other, Alike: n.Alike})
	}
	add(m.Inject.InitOnly)
	add(m.StopNeeds.Word)
	add(m.SkipPorts)
	return append(words, m.Words...)
}
