package lint

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// A pod is a pod template with everything that rules ask about it.
type pod struct {
	profile   *Profile
	namespace Namespace
	object    manifest.Object
	template  manifest.PodTemplate
	admission *admission // what policies have done to the object, nil where that is nothing
	treatment Treatment  // and to the pods of this template
	// first is set for the first pod template of an object, for which alone is said what
	// concerns the object as a whole.
	first bool

	root, meta, spec    place
	job                 place // what holds backoffLimit; the pod spec of a Pod
	labels, annotations map[string]string
	inits, apps         []container
	hostNetwork         bool
	windows             bool
	restartPolicy       string
	proxies             []proxy
	hangs               []hang
	workers             []container // what work returns
}

// A container is a container of the pod with what it runs.
type container struct {
	manifest.Container
	place   place
	image   string
	argv    []string
	words   []string // argv as the kubelet expands it
	command bool     // the manifest has a command
	env     map[string]string
	reading script.Reading
}

// A proxy is a mesh proxy that is in the pod, or will be.
type proxy struct {
	mesh string
	// name is the name of its container.
	name string
	// written is set where the manifest holds the container itself.
	written bool
	// native says whether it is a native sidecar; by says what put it there.
	native native.Decision
	by     string
}

// podsOf returns the pod templates of an object whose pods are meant to end.
func podsOf(o manifest.Object, a *admission, profile *Profile, namespaces map[string]Namespace) []*pod {
	var pods []*pod
	for _, t := range o.PodTemplates() {
		if t.Row.Pods == kind.Serve || t.Row.Pods == kind.Unjudged || t.Row.Pods == kind.ByPolicy && !t.EndsByPolicy() && !isHook(o) {
			continue
		}
		p := newPod(o, t, a, profile, namespaces[o.Namespace])
		p.first = len(pods) == 0
		pods = append(pods, p)
	}
	return pods
}

// isHook tells whether Helm or Argo CD waits for an object to end.
func isHook(o manifest.Object) bool {
	annotations := manifest.Get(o.Node, "metadata", "annotations")
	return manifest.Text(manifest.Get(annotations, helmHook)) != "" || !slices.Contains([]string{"", "Skip"}, manifest.Text(manifest.Get(annotations, argoHook)))
}

func newPod(o manifest.Object, t manifest.PodTemplate, a *admission, profile *Profile, ns Namespace) *pod {
	spec, specPath := t.Spec()
	p := &pod{
		profile: profile, namespace: ns, object: o, template: t, admission: a, treatment: a.of(t),
		root: place{o.Node, nil},
		spec: place{spec, specPath},
		meta: place{t.Node, t.Path}.get("metadata"),
	}
	p.job = p.spec
	if n := len(t.Path); n > 0 && t.Path[n-1] == "template" {
		p.job = p.root.get(t.Path[:n-1]...)
	}
	p.labels, p.annotations = t.Texts("labels"), t.Texts("annotations")
	p.hostNetwork = t.HostNetwork()
	p.restartPolicy = t.RestartPolicy()
	p.windows = p.spec.get("os", "name").text() == "windows" ||
		p.spec.get("nodeSelector", "kubernetes.io/os").text() == "windows"
	for _, c := range t.Containers() {
		read := newContainer(c)
		if c.Init {
			p.inits = append(p.inits, read)
		} else {
			p.apps = append(p.apps, read)
		}
	}
	p.proxies = findProxies(p)
	p.hangs = findHangs(p)
	return p
}

func newContainer(c manifest.Container) container {
	read := container{Container: c, place: place{c.Node, c.Path}, image: manifest.Text(manifest.Get(c.Node, "image")), env: map[string]string{}}
	for _, e := range manifest.Items(manifest.Get(c.Node, "env")) {
		value := manifest.Text(manifest.Get(e, "value"))
		if manifest.Get(e, "valueFrom") != nil {
			value = script.Unknown
		}
		value = script.Expand(value, read.env)
		read.env[manifest.Text(manifest.Get(e, "name"))] = value
	}
	if readsAnnotations(c.Node) {
		for _, m := range mesh.All() {
			variable := m.Variable()
			if _, set := read.env[variable]; variable != "" && !set {
				read.env[variable] = script.Unknown
			}
		}
	}
	if len(manifest.Items(manifest.Get(c.Node, "envFrom"))) > 0 {
		// Without the proxies these wrappers would be of no use, so the proxies are there.
		for _, name := range slices.Concat(wrapflags.ScuttleVariables(), wrapflags.PreflightVariables()) {
			if _, set := read.env[name]; !set {
				read.env[name] = script.Unknown
			}
		}
	}
	for _, field := range []string{"command", "args"} {
		for _, word := range manifest.Items(manifest.Get(c.Node, field)) {
			read.argv = append(read.argv, manifest.Text(word))
			read.command = read.command || field == "command"
		}
	}
	if source := manifest.Get(c.Node, "source"); read.command && manifest.Text(source) != "" {
		read.argv = withSource(read.argv, manifest.Text(source))
	}
	for _, w := range read.argv {
		read.words = append(read.words, script.Expand(w, read.env))
	}
	if len(read.argv) > 0 {
		read.reading = script.Read(read.argv, read.env)
	}
	return read
}

// readsAnnotations says whether a container mounts the annotations of its pod for the
// wrapper, which say all that the variables of the meshes can say.
func readsAnnotations(container *yaml.Node) bool {
	return slices.ContainsFunc(manifest.Items(manifest.Get(container, "volumeMounts")), func(mount *yaml.Node) bool {
		return manifest.Text(manifest.Get(mount, "name")) == podVolume
	})
}

// injector returns what the injectors read of the pod.
func (p *pod) injector(mesh string) native.Pod {
	return native.Pod{
		Namespace: p.object.Namespace, Labels: p.labels, Annotations: p.annotations,
		NamespaceLabels: p.namespace.Labels, NamespaceAnnotations: p.namespace.Annotations,
		HostNetwork: p.hostNetwork, Default: p.profile.Mesh == mesh,
	}
}

// installation returns what is known of the installation of a mesh. Of a mesh other than that
// of the profile only the cluster is known.
func (p *pod) installation(mesh string) native.Installation {
	in := p.profile.installation()
	if p.profile.Mesh != mesh && p.profile.Mesh != "" {
		in = native.Installation{Kubernetes: in.Kubernetes, MinKubelet: in.MinKubelet}
	}
	return in
}

// version is the release of a mesh that the pod is judged for.
func (p *pod) version(name string) mesh.Version {
	m := rowOf(name)
	return native.VersionOf(&m, p.installation(name))
}

// rowOf returns the row of a mesh, or an empty one where the table has none.
func rowOf(name string) mesh.Mesh {
	m, _ := mesh.ByName(name)
	return m
}

// findProxies decides which proxies the pod will have.
func findProxies(p *pod) []proxy {
	var found []proxy
	for _, m := range mesh.All() {
		if written, ok := writtenProxy(p, m); ok {
			found = append(found, written)
			continue
		}
		if in := native.Injected(m.Name, p.injector(m.Name)); in.Yes {
			d := native.Native(m.Name, p.installation(m.Name), p.injector(m.Name))
			if p.treatment.Native && !d.Yes && m.Container != "" {
				d = native.Decision{Yes: true, By: byPolicy}
			}
			found = append(found, proxy{mesh: m.Name, name: m.Container, by: in.By, native: d})
		}
	}
	return found
}

// writtenProxy finds the proxy of a mesh that stands in the manifest.
func writtenProxy(p *pod, m mesh.Mesh) (proxy, bool) {
	for _, c := range slices.Concat(p.apps, p.inits) {
		if m.Annotation != "" && c.Name == m.Container && (!c.Init || c.Native) {
			return proxy{mesh: m.Name, name: m.Container, written: true, native: native.Decision{Yes: c.Native, By: "the manifest"}, by: "the manifest"}, true
		}
	}
	return proxy{}, false
}

// proxyOf returns the proxy of a mesh.
func (p *pod) proxyOf(mesh string) (proxy, bool) {
	i := slices.IndexFunc(p.proxies, func(x proxy) bool { return x.mesh == mesh })
	if i < 0 {
		return proxy{}, false
	}
	return p.proxies[i], true
}

// meshed tells whether the proxy of any mesh will be in the pod.
func (p *pod) meshed() bool {
	return slices.ContainsFunc(p.proxies, func(x proxy) bool { return slices.Contains(native.Meshes(), x.mesh) })
}

// work returns the containers that do the Job's work: neither proxies nor helpers nor what
// never ends, unless there is nothing else.
func (p *pod) work() []container {
	if p.workers == nil {
		p.workers = p.findWork()
	}
	return p.workers
}

func (p *pod) findWork() []container {
	own := slices.DeleteFunc(slices.Clone(p.apps), func(c container) bool { return isProxyContainer(c.Name) })
	for _, aside := range []func(container) bool{
		func(c container) bool {
			return p.helperOf(c) != nil || p.supervised(c) != nil || c.reading.Endless != ""
		},
		func(c container) bool { return p.helperOf(c) != nil || p.supervised(c) != nil },
	} {
		if rest := slices.DeleteFunc(slices.Clone(own), aside); len(rest) > 0 {
			return rest
		}
	}
	return own
}

func isProxyContainer(name string) bool {
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Container != "" && m.Container == name })
}

// wrapped tells whether our wrapper is in the pod, whichever way it came.
func (p *pod) wrapped() bool {
	return slices.ContainsFunc(p.apps, func(c container) bool {
		return c.reading.Wrapper != nil && c.reading.Wrapper.Name == wrapflags.JobmeshWrap
	})
}

// annotation is the place of a pod annotation.
func (p *pod) annotation(name string) place { return p.meta.get("annotations", name) }
