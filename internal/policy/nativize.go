package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// installName is the init container of the wrapper, behind which everything else starts.
const installName = lint.InstallName

// nativize makes native sidecars of what is moved: proxies first, then helpers, each in the
// order of the file, behind the init containers of the mesh and those that write what they read,
// and in front of the others.
func (p *pod) nativize() {
	if len(p.moved) == 0 {
		return
	}
	spec := maps.Clone(p.spec())
	var stay, proxies, helpers []any
	for _, item := range list(spec, "containers") {
		switch name := nameOf(item); {
		case !slices.Contains(p.moved, name):
			stay = append(stay, item)
		case slices.Contains(p.proxies, name):
			proxies = append(proxies, p.native(item))
		default:
			helpers = append(helpers, p.native(item))
		}
	}
	inits := list(spec, "initContainers")
	spec["initContainers"] = slices.Insert(slices.Clone(inits), p.place(inits), slices.Concat(proxies, helpers)...)
	spec["containers"] = stay
	metadata, _ := p.after["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	metadata, annotations = maps.Clone(metadata), maps.Clone(annotations)
	if metadata == nil {
		metadata = map[string]any{}
	}
	if annotations == nil {
		annotations = map[string]any{}
	}
	var names []string
	if already, _ := annotations[mesh.NativeAnnotation].(string); already != "" {
		names = strings.Split(already, ",")
	}
	for _, name := range p.moved {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	annotations[mesh.NativeAnnotation] = strings.Join(names, ",")
	metadata["annotations"] = annotations
	after := maps.Clone(p.after)
	after["metadata"], after["spec"] = metadata, spec
	p.after = after
}

// native is a container as a native sidecar.
func (p *pod) native(item any) any {
	c, _ := item.(map[string]any)
	c = maps.Clone(c)
	c["restartPolicy"] = "Always"
	delete(c, "restartPolicyRules")
	after := ""
	if i := slices.IndexFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Container == nameOf(item) }); i >= 0 {
		after = mesh.All()[i].ReadyAfter
	}
	_, waits := p.texts["annotations"][after]
	ready, _ := c["readinessProbe"].(map[string]any)
	if c["startupProbe"] == nil && ready != nil && (after == "" || !waits) {
		probe := maps.Clone(ready)
		maps.Copy(probe, map[string]any{"successThreshold": 1., "periodSeconds": 1., "failureThreshold": 120.})
		c["startupProbe"] = probe
	}
	return c
}

// place is before which of the init containers native ones go.
func (p *pod) place(inits []any) int {
	written := p.written()
	place, first := 0, -1
	for j, item := range inits {
		c, _ := item.(map[string]any)
		ends := c["restartPolicy"] != "Always"
		writes := ends && slices.ContainsFunc(list(c, "volumeMounts"), func(mount any) bool {
			m, _ := mount.(map[string]any)
			return slices.Contains(written, nameOf(mount)) && m["readOnly"] != true
		})
		if ofMesh(nameOf(item)) || writes {
			place = j + 1
		}
		if ends && nameOf(item) != installName && first < 0 {
			first = j
		}
	}
	if first < 0 {
		first = len(inits)
	}
	return max(place, first)
}

// ofMesh tells whether an init container is one of a mesh.
func ofMesh(name string) bool {
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool {
		return slices.Contains(m.Inits, name) || m.Annotation != "" && m.Container == name && name != ""
	})
}

// written are the volumes of what is moved that init containers can write into.
func (p *pod) written() []string {
	var mounted []string
	for _, item := range list(p.spec(), "containers") {
		c, _ := item.(map[string]any)
		if slices.Contains(p.moved, nameOf(item)) {
			for _, mount := range list(c, "volumeMounts") {
				mounted = append(mounted, nameOf(mount))
			}
		}
	}
	var names []string
	for _, item := range list(p.spec(), "volumes") {
		volume, _ := item.(map[string]any)
		fixed := slices.ContainsFunc([]string{"configMap", "secret", "downwardAPI", "projected", "image"}, func(source string) bool { return volume[source] != nil })
		if !fixed && slices.Contains(mounted, nameOf(item)) {
			names = append(names, nameOf(item))
		}
	}
	return names
}
