package inject

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// An optOut is how a pod says that a mesh is to keep its proxy out.
type optOut struct {
	mesh   string
	label  bool // else an annotation
	key    string
	values []string
}

// optOuts are read in this order; where a mesh reads a label and an annotation, the
// label wins.
var optOuts = []optOut{
	{"linkerd", false, "linkerd.io/inject", []string{"disabled"}},
	{"istio", true, "sidecar.istio.io/inject", []string{"false"}},
	{"istio", false, "sidecar.istio.io/inject", []string{"false"}},
	{"kuma", true, "kuma.io/sidecar-injection", []string{"disabled", "false"}},
	{"kuma", false, "kuma.io/sidecar-injection", []string{"disabled", "false"}},
	{"consul", false, "consul.hashicorp.com/connect-inject", []string{"false"}},
	{"dapr", false, "dapr.io/enabled", []string{"false"}},
}

// skipReason says why a pod template is left as it is: no mesh puts a proxy into its
// pods, or the wrapper does not run there. "" if it is not.
func skipReason(t manifest.PodTemplate, mesh, mode string) string {
	spec, _ := t.Spec()
	workflow := spec
	if t.Argo { // hostNetwork is said once, for all templates
		workflow = manifest.Get(t.Object.Node, t.Path[:len(t.Path)-2]...)
	}
	switch {
	case manifest.Text(manifest.Get(workflow, "hostNetwork")) == "true":
		return "hostNetwork: true, where no mesh puts a proxy"
	case strings.EqualFold(manifest.Text(manifest.Get(spec, "os", "name")), "windows"),
		strings.EqualFold(manifest.Text(manifest.Get(spec, "nodeSelector", "kubernetes.io/os")), "windows"):
		return "it asks for Windows nodes, for which there is no wrapper"
	case mode == "optOut":
		return ""
	}
	decided := map[string]bool{}
	for _, o := range optOuts {
		if mesh != "auto" && mesh != o.mesh || decided[o.mesh] {
			continue
		}
		n, what := t.Annotation(o.key), "annotation"
		if o.label {
			n, what = t.Label(o.key), "label"
		}
		if n == nil {
			continue
		}
		decided[o.mesh] = o.label
		if value := manifest.Text(n); slices.Contains(o.values, value) {
			return fmt.Sprintf("the pod template opts out by the %s %s: %s", what, o.key, value)
		}
	}
	return ""
}

// misplaced names the opt-outs of an object that have no effect, because they stand
// elsewhere than on the pod template.
func misplaced(o manifest.Object, templates []manifest.PodTemplate) []string {
	if len(templates) == 0 || len(templates[0].Path) == 0 || templates[0].Argo {
		return nil
	}
	var notes []string
	right := templates[0].Path.Join("metadata", "annotations")
	for end := 0; end < len(templates[0].Path); end++ {
		above := templates[0].Path[:end]
		for _, out := range optOuts {
			field := "annotations"
			if out.label {
				field = "labels"
			}
			n := manifest.Get(o.Node, append(slices.Clone(above), "metadata", field, out.key)...)
			if n != nil && n.Kind == yaml.ScalarNode && slices.Contains(out.values, n.Value) {
				notes = append(notes, fmt.Sprintf("%s: %s in %s has no effect (JM301): meshes read %s",
					out.key, n.Value, above.Join("metadata", field), right[:len(right)-1]))
			}
		}
	}
	return notes
}
