package inject

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/regular"
)

// maxValues is the largest size of a values file, in bytes. Helm takes charts of up to 100 MB.
const maxValues = 16 << 20

// ReadValues returns the values that files and assignments (k=v, as in helm --set) make
// together, in the form that they have in a chart that uses the library: under jobmesh and
// global. A later value wins over an earlier one. A file holds either the settings of the
// library (mesh: linkerd), or the values of a chart that uses it, of which only jobmesh and
// global are read. A mistake is a fault.Usage that names the file or the assignment.
func ReadValues(files, assignments []string) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range files {
		text, err := regular.ReadAny(name, maxValues)
		if err != nil {
			return nil, err
		}
		var content any
		if err := yaml.Unmarshal(text, &content); err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("values %s: %s", name, strings.TrimPrefix(err.Error(), "error converting YAML to JSON: yaml: ")))
		}
		file, isMap := content.(map[string]any)
		if !isMap && content != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("values %s: must be a mapping", name), "as in mesh: linkerd")
		}
		if file["apiVersion"] != nil && file["kind"] != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("values %s: is a Kubernetes object, and -f takes values", name), "name manifests without a flag, as in jobmesh inject "+name)
		}
		if file != nil {
			values = over(values, file)
		}
	}
	for _, assignment := range assignments {
		assigned := map[string]any{}
		err := helm.Set(assignment, assigned)
		if err == nil && len(assigned) == 0 {
			err = errors.New("names no setting")
		}
		if err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("--set %s: %w", assignment, err), "as in --set mesh=linkerd")
		}
		values = over(values, assigned)
	}
	for _, path := range []manifest.Path{{"global"}, {"jobmesh", "global"}} {
		// Helm would write this mistake to its log, in words that do not name the value.
		if global := manifest.Lookup(values, path); global != nil && reflect.TypeOf(global).Kind() != reflect.Map {
			return nil, fault.New(fault.Usage, errors.New("values: global must be a mapping"), "as in --set global.jobmesh.mesh=linkerd")
		}
	}
	return values, nil
}

// over returns the values of a chart with more values on top. The additional values have either
// form that ReadValues takes. Settings of the library among them win over earlier ones in
// global.jobmesh, too.
func over(values, more map[string]any) map[string]any {
	_, own := more["jobmesh"].(map[string]any)
	_, global := more["global"].(map[string]any)
	if own || global {
		only := map[string]any{}
		for _, key := range []string{"jobmesh", "global"} {
			if value, has := more[key]; has {
				only[key] = value
			}
		}
		return merge(values, only)
	}
	values = merge(values, map[string]any{"jobmesh": more})
	if before, has := manifest.Lookup(values, manifest.Path{"global", "jobmesh"}).(map[string]any); has {
		values = with(values, manifest.Path{"global", "jobmesh"}, merge(before, more)).(map[string]any)
	}
	return values
}
