// Package mesh is the table of service meshes, and of the other proxies that a
// container beside them may have to wait for and to stop. It is the only place that
// knows them: the wrapper, jobmesh lint, jobmesh inject, the library chart, its schema
// and the documentation read the table or are generated from it.
//
// facts.go has the rows, this file has what a row can say. A new mesh is one row and
// `make generate`.
//
// The package imports nothing but strings, strconv and errors, because the wrapper
// links it.
package mesh

import (
	"strconv"
	"strings"
)

// A Mesh is one row of the table. All addresses are on the pod's loopback.
type Mesh struct {
	// Name is the value of --mesh; Title is the name as its makers write it.
	Name, Title string
	// Checked is the release that the row was last compared with, and Sources is
	// where.
	Checked string
	Sources []string

	// Annotation is set on the pod by the injector where it has put its proxy in. The
	// wrapper gets its value in the variable Variable(). Empty for a proxy that is no
	// mesh: it has to be named.
	Annotation string
	// Ready lists the URLs of the readiness check. A GET that any one of them
	// answers with 200-299 says that the proxy is ready. Empty where a proxy has no
	// such check.
	Ready []string
	// ReadyBody is what the body of an answer has to be, by the URL of Ready, without the
	// space around it. An answer of a URL that is not in it counts whatever its body is.
	ReadyBody map[string]string
	// Detect lists URLs at which the proxy is known by an answer of 200-299 or 503,
	// for a wrapper that nobody told about it; Ready where empty.
	Detect []string
	// Stop is "METHOD URL", the request on which the proxy exits. StopByGet says that
	// it obeys a GET too.
	Stop      string
	StopByGet bool
	// TokenHeader is sent with the stop request, with the value of the variable
	// TokenVariable, where that is set.
	TokenHeader, TokenVariable string
	// StopSwitch is the URL where the proxy tells whether the stop request is on: a
	// JSON object whose key is the query of the URL.
	StopSwitch string
	// StopNeeds is what a pod has to say so that the stop request is on.
	StopNeeds Switch
	// StopDisabled tells the user what to change when the stop request is answered
	// with 404, that is, when the endpoint is switched off.
	StopDisabled string
	// StopAfterAnswer says that a stop request sent before the proxy has answered at a URL
	// of Ready makes it one that nothing stops.
	StopAfterAnswer bool
	// Fallback is where the proxy is asked, whether it is ready and to stop, when nobody
	// listens at the port of Stop.
	Fallback Fallback
	// StopElsewhere says who stops the proxy where nobody listens at the stop URL.
	// Empty where that is nobody.
	StopElsewhere string

	// Inject is how a pod gets the proxy, and Native is when that is a native sidecar.
	Inject Injection
	Native Native
	// Platforms are installations of the mesh that somebody manages for others, and that
	// decide otherwise than the mesh by itself.
	Platforms []Platform
	// Wrap lists the annotations of a pod whose proxy will be stopped by the wrapper.
	Wrap []Setting
	// Grace is how long the proxy lives on after it took the stop request, where it is
	// known to do so.
	Grace Grace
	// SkipPorts is the annotation with the outbound ports that bypass the proxy.
	// SkipNetworks lists annotations with other traffic that does.
	SkipPorts    Word
	SkipNetworks []string
	// User is the user id of the proxy: what runs under it bypasses the proxy. 0 where
	// the mesh does not redirect traffic before the proxy is up.
	User int

	// Container is the name of the proxy's container.
	Container string
	// Inits are the names of the init containers that the injector puts beside it: what
	// redirects the traffic, or looks whether it is redirected.
	Inits []string
	// ReadyAfter is the annotation of a pod whose readiness probe of the proxy fails until
	// the application answers. Empty where it never waits for the application.
	ReadyAfter string
	// Processes are the names of the proxy's program that a signal is sent to.
	Processes []string
	// Client is a program in the proxy's container that can send the stop request.
	Client string
	// AdminPorts are ports beside those of Ready, Detect and Stop that serve readiness
	// and the path of Stop. DeafPorts are ports of the proxy where nothing obeys
	// /quitquitquit.
	AdminPorts, DeafPorts []string
	// Alike is the name of another row whose ports and paths are the same. Who looks at
	// ports cannot tell the two apart, and takes this proxy for that one.
	Alike string
	// Shared says that other rows' proxies are this program too: a call that names
	// only the program, or only the path of Stop, may be meant for any of them.
	Shared bool
	// Shell says that its image has a shell and kill, which Argo Workflows needs to
	// end it. KillCommand is the command in its container that ends it, as a JSON list,
	// where Argo has to be told one.
	Shell       bool
	KillCommand string

	// Rule is the rule of jobmesh lint that says "this proxy outlives the Job". Empty
	// where somebody else stops the proxy. WrittenRule is its place where the proxy is
	// written into the manifest.
	Rule, WrittenRule string
	// Domain is part of the domain of its labels and annotations. Prefixes are the
	// beginnings of those that nobody else reads.
	Domain   string
	Prefixes []string
	// Words are labels and annotations that lint knows beside those above. Nearby are
	// keys that the mesh reads and that are spelled nearly as one of them.
	Words  []Word
	Nearby []string
}

// A Fallback is a port of the proxy's own that is always open, beside those that can be
// moved or switched off. Both are as in the row: Ready is a URL, and Stop is "METHOD URL".
// They are empty where there is none.
type Fallback struct{ Ready, Stop string }

// A Word is a label or an annotation that the mesh reads.
type Word struct {
	Key string
	// Label and Annotation say where it is read; an Injection knows by its Levels.
	Label, Annotation bool
	// Read is how its value is understood. Exact are the words of a value, and Other
	// is what any other value is taken for.
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

// GraceAdvice says what to write into the pod so that the proxy takes little time, or ""
// where its time is not known to be set by an annotation.
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
	// Value is the word for on. Without it the request is off since the release Since;
	// always, where that is not known.
	Value string
	Since Version
	// Rule is the rule of lint that says that the request is off.
	Rule string
}

// A Level is where a mesh reads a word.
type Level int

// The levels.
const (
	PodLabel Level = iota
	PodAnnotation
	NamespaceLabel
	NamespaceAnnotation
)

// Injection is how a pod gets into the mesh, and how it stays out. The key is empty
// for a proxy that nobody injects.
type Injection struct {
	Word
	// Levels are the places where Key is read; the first one that has it decides.
	Levels []Level
	// Yes are the values that ask for the proxy, where Read is Words. No are those
	// that plainly keep it out, the usual one first.
	Yes, No []string
	// OptOut are the levels at which mode optOut writes Key.
	OptOut []Level
	// WhenAsked says that nothing but Key on the pod brings the proxy: being in a
	// namespace of the mesh does not.
	WhenAsked bool
	// HostNetwork says that a pod with hostNetwork: true gets the proxy too.
	HostNetwork bool
	// Spared are namespaces that the webhook, as it is installed, leaves out whatever
	// a pod there asks for.
	Spared []string
	// InitOnly is a word with which the pod gets an init container that ends, and no
	// proxy.
	InitOnly Word
}

// Native is when the proxy is a native sidecar: an init container with restartPolicy
// Always, which the kubelet stops by itself.
type Native struct {
	// Words are the annotations that decide, the one that wins first. Read is how
	// their values are understood; mode native writes "true".
	Words []NativeWord
	Read  Reading
	// Exact, Other: as in a Word.
	Exact []string
	Other string
	// Namespace says that they are read on the namespace too, after the pod.
	Namespace bool
	// Setting is the first release whose installation can be told to make native
	// sidecars of all proxies. An older one has no such setting.
	Setting Version
	// Default is the release since which the proxy is native unless something says
	// otherwise; unknown where it never is. DefaultKubelet is the oldest kubelet of
	// the cluster with which that holds.
	Default, DefaultKubelet Version
	// SettingSource and DefaultSource are where these two are said.
	SettingSource, DefaultSource string
	// Status is the key of the JSON in the mesh's Annotation that lists the proxy's
	// container where it is native.
	Status string
}

// A NativeWord is one annotation of Native.
type NativeWord struct {
	Name string
	// Since is the first release that reads it, and Source is where that is said.
	Since  Version
	Source string
	// Variable hands its value to the wrapper. It is written in the table only where it is
	// another one than NativeVariables makes of the name of the mesh.
	Variable string
	// Alike: as in a Word.
	Alike []string
}

// A Platform is a mesh that is installed and upgraded by a provider. It reads the words of
// the mesh itself; what it does where nothing is said is its own.
type Platform struct {
	// Name stands behind the name of the mesh and an @, as in --mesh istio@asm. Title says
	// what it is.
	Name, Title string
	// Version is the release of the mesh that it installs; not known where it offers several.
	Version Version
	// Revisions says that a release may stand in the name, as the provider writes its
	// revisions: aks-asm-1-28-new is aks-new with the release 1.28.
	Revisions bool
	// Default is the release of the mesh since which the proxy is native unless something
	// says otherwise; unknown where it never is. Kubernetes is the oldest version of the
	// cluster with which that holds.
	Default, Kubernetes Version
	// Source is where that is said.
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

// ByName returns the row of that name.
func ByName(name string) (Mesh, bool) {
	for i := range table {
		if table[i].Name == name {
			return table[i], true
		}
	}
	return Mesh{}, false
}

// Newest is the release that the row was last compared with: the newest that is
// supported. It is not known where Checked says no release.
func (m *Mesh) Newest() Version {
	for _, word := range strings.Fields(m.Checked) {
		if v, err := ParseVersion(word); err == nil {
			return v
		}
	}
	return Version{}
}

// PlatformOf returns the platform of that name. A release may stand in it, between the
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

// Variable is the name of the environment variable that carries the value of
// the mesh's pod annotation into the wrapped container; empty where there is
// no annotation.
func (m *Mesh) Variable() string {
	if m.Annotation == "" {
		return ""
	}
	return "JOBMESH_POD_" + strings.ToUpper(m.Name)
}

// Redirects reports whether the traffic of every container goes through the proxy, so that
// no container has a network without it. A proxy that also gets into pods with the network
// of their node cannot do that.
func (m *Mesh) Redirects() bool { return m.Annotation != "" && !m.Inject.HostNetwork }

// Injected reports whether an annotation's value says that a proxy was
// injected. The downward API gives an empty value for an annotation that is
// not there.
func Injected(annotation string) bool {
	return annotation != "" && annotation != "false"
}

// NativeVariables returns what tells the wrapper that the proxy is a native sidecar, the
// one that wins first: the annotations of Native.Words, each with the variable that says
// the same in a pod which hands over no file with its annotations. Where the pod's words
// do not decide, because there are none or because the injector itself says what it has
// made, there is one variable without an annotation. There is nothing for a proxy that
// nobody injects.
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

// IsNative reports whether the pod's annotations show the proxy to run as a native
// sidecar, which the kubelet stops by itself and restarts when anybody else does. lookup
// returns the value of an annotation, which the variable of that name may hold too.
func (m *Mesh) IsNative(lookup func(annotation, variable string) string) bool {
	for _, w := range m.NativeVariables() {
		read := m.Native.Read
		if w.Name == "" {
			read = GoBool // it is a word of ours
		}
		if yes, known := read.Bool(lookup(w.Name, w.Variable)); known {
			return yes
		}
	}
	return m.Native.Status != "" && lists(lookup(m.Annotation, m.Variable()), m.Native.Status, m.Container)
}

// Is reports whether a name means this row: its own, its container's, or that of a row
// that is not told from it.
func (m *Mesh) Is(name string) bool {
	return name != "" && (name == m.Name || name == m.Container || name == m.Alike)
}

// NativeByDefault reports whether a proxy of this version runs as a native sidecar
// unless told otherwise. The version is the value of Annotation.
func (m *Mesh) NativeByDefault(version string) bool {
	v, err := ParseVersion(version)
	since := m.Native.Default
	return err == nil && since.Known() && v.AtLeast(since.Major, since.Minor)
}

// StopOff reports whether the answer of a StopSwitch says that the stop request is
// off. known is false where the answer says nothing.
func StopOff(stopSwitch, body string) (off, known bool) {
	_, key, _ := strings.Cut(stopSwitch, "?")
	v, found := topLevel(body, key)
	switch {
	case !found:
		return false, false
	case v.kind == '"':
		return v.text != "true", true
	}
	return true, true // null: not set, and off is the default
}

// StopURL returns the parts of Stop, as in "POST", "4191" and "/shutdown".
func (m *Mesh) StopURL() (method, port, path string) {
	method, url, _ := strings.Cut(m.Stop, " ")
	port, path = portAndPath(url)
	return method, port, path
}

// Canonical is the name for what is told by its ports: the row's own, or that of the row
// from which it cannot be told.
func (m *Mesh) Canonical() string {
	if m.Alike != "" {
		return m.Alike
	}
	return m.Name
}

// Ports returns every port at which the wrapper asks the proxy for anything.
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

// portAndPath takes a URL such as http://127.0.0.1:4191/ready apart.
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
