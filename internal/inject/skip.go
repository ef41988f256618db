package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// skipReason says why a pod template is left as it is: no mesh puts a proxy into its pods, or
// the wrapper does not run there. It returns "" where the template is injected. The parameter
// name is a mesh, several meshes with commas between them, or auto. The parameter moves says
// that containers become native sidecars; where nothing is wrapped, that does not depend on a
// mesh.
func skipReason(t manifest.PodTemplate, name, mode string, moves bool) string {
	meshless := moves && (mode == "native" || mode == "optOut" || name == "none")
	if reason := onNodeNetwork(t, name); reason != "" && !meshless {
		return reason
	}
	switch {
	case t.Windows():
		return "it asks for Windows nodes, for which jobmesh has no wrapper"
	case mode == "optOut", meshless:
		return ""
	}
	for _, m := range asked(name) {
		field, value, out := optOut(t, m)
		if !out {
			continue
		}
		reason := fmt.Sprintf("the pod template opts out by the %s %s: %s", strings.TrimSuffix(field, "s"), m.Inject.Key, value)
		if other := meshWithout(t); name == "auto" && other != "" {
			reason += "; if the pod is in another mesh, --set mesh=" + other + " injects it"
		}
		return reason
	}
	return filledLater(t, mode)
}

// optOut returns the field and value by which a pod template opts out of a mesh.
func optOut(t manifest.PodTemplate, m mesh.Mesh) (field, value string, out bool) {
	for _, field := range podFields(m) {
		if value, said := t.Texts(field)[m.Inject.Key]; said {
			return field, value, slices.Contains(m.Inject.No, value) // the first field that has the key decides
		}
	}
	return "", "", false
}

// meshWithout returns the first mesh that a pod template does not opt out of, and "" where
// there is no such mesh.
func meshWithout(t manifest.PodTemplate) string {
	for _, m := range asked("auto") {
		if _, _, out := optOut(t, m); !out && !m.Inject.WhenAsked {
			return m.Name
		}
	}
	return ""
}

// filledLater returns why a pod template is left alone whose controller writes the command into
// its containers, and "" where there is a command to wrap.
func filledLater(t manifest.PodTemplate, mode string) string {
	if t.Row.Fills == "" || mode == "native" {
		return ""
	}
	for _, c := range t.Containers() {
		if !c.Init && len(manifest.Items(manifest.Get(c.Node, "command"))) == 0 {
			return fmt.Sprintf("container %s has no command, and %s would write one over the wrapper: set the command, or mode=native", c.Name, t.Row.Fills)
		}
	}
	return ""
}

// byExecutor returns a remark for the pods of Argo Workflows, where Argo's executor ends the
// proxy, and "" where nothing is wrapped.
func byExecutor(templates []manifest.PodTemplate, mode string) string {
	wrapped := slices.ContainsFunc(templates, func(t manifest.PodTemplate) bool { return t.Row.Sidecars == kind.Controller })
	if !wrapped || mode != "wrap" && mode != "hook" {
		return ""
	}
	return "its wrapper waits for the proxy and leaves the stop to Argo's executor, because the container wait of the executor needs the network until the end"
}

// asked returns the meshes that a pod may be in: all meshes for auto, or else those that were
// named.
func asked(name string) []mesh.Mesh {
	var rows []mesh.Mesh
	names := strings.Split(name, ",")
	for _, m := range mesh.All() {
		if slices.Contains(names, m.Name) || name == "auto" && m.Annotation != "" {
			rows = append(rows, m)
		}
	}
	return rows
}

// onNodeNetwork returns why a pod with hostNetwork gets no proxy of a mesh, and "" where it may
// have one: a proxy that the manifest contains, a proxy that no injector adds, or one whose
// injector ignores hostNetwork.
func onNodeNetwork(t manifest.PodTemplate, name string) string {
	if !t.HostNetwork() {
		return ""
	}
	metadata := manifest.Get(t.Node, "metadata")
	pod := native.Pod{
		HostNetwork: true, Default: true,
		Labels: manifest.Texts(manifest.Get(metadata, "labels")), Annotations: manifest.Texts(manifest.Get(metadata, "annotations")),
	}
	for _, m := range asked(name) {
		written := slices.ContainsFunc(t.Containers(), func(c manifest.Container) bool { return m.Container != "" && c.Name == m.Container })
		if m.Inject.Key == "" || written || m.Inject.HostNetwork && (name != "auto" || native.Injected(m.Name, pod).Yes) {
			return ""
		}
	}
	return "hostNetwork: true, where no mesh puts a proxy into this pod"
}

// podFields returns the fields of a pod's metadata in which the injector of a mesh looks for
// its key. The first one wins.
func podFields(m mesh.Mesh) []string {
	var fields []string
	for _, level := range m.Inject.Levels {
		switch level {
		case mesh.PodLabel:
			fields = append(fields, "labels")
		case mesh.PodAnnotation:
			fields = append(fields, "annotations")
		}
	}
	return fields
}

// misplaced returns a remark on each opt-out that has no effect because it does not stand on
// the pod template.
func misplaced(o manifest.Object, templates []manifest.PodTemplate) []string {
	if len(templates) == 0 || len(templates[0].Path) == 0 || templates[0].Row.Form == kind.Argo {
		return nil
	}
	var notes []string
	right := templates[0].Path.Join("metadata", "annotations")
	for end := 0; end < len(templates[0].Path); end++ {
		above := templates[0].Path[:end]
		metadata := manifest.Get(o.Node, above.Join("metadata")...)
		if metadata == nil {
			continue
		}
		for _, m := range asked("auto") {
			for _, field := range podFields(m) {
				n := manifest.Get(metadata, field, m.Inject.Key)
				if n != nil && n.Kind == yaml.ScalarNode && slices.Contains(m.Inject.No, n.Value) {
					notes = append(notes, fmt.Sprintf("%s: %s in %s has no effect (JM301): meshes read %s",
						m.Inject.Key, n.Value, above.Join("metadata", field), right[:len(right)-1]))
				}
			}
		}
	}
	return notes
}
