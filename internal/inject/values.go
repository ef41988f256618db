package inject

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// ReadValues returns the settings that files and assignments (k=v, as in helm --set)
// make together; the last one wins. A file is either the values of the library chart
// (mesh: linkerd), or those of a chart that uses it, with the library's under jobmesh
// and global.jobmesh; then its other keys are of no interest here.
func ReadValues(files, assignments []string) (map[string]any, error) {
	settings := map[string]any{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		values, err := chartutil.ReadValues(text)
		if err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("values %s: %s", name, strings.TrimPrefix(err.Error(), "error converting YAML to JSON: yaml: ")))
		}
		settings = merge(settings, plain(values))
	}
	for _, assignment := range assignments {
		values := map[string]any{}
		if err := strvals.ParseInto(assignment, values); err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("--set %s: %w", assignment, err), "as in --set mesh=linkerd")
		}
		settings = merge(settings, plain(values))
	}
	return settings, nil
}

// plain returns values in the form of the library chart.
func plain(values map[string]any) map[string]any {
	own, hasOwn := values["jobmesh"].(map[string]any)
	global, hasGlobal := values["global"].(map[string]any)
	if !hasOwn && !hasGlobal {
		return values
	}
	settings := merge(map[string]any{}, own)
	if registry, ok := global["imageRegistry"].(string); ok && registry != "" {
		settings = merge(settings, map[string]any{"image": map[string]any{"registry": registry}})
	}
	if library, ok := global["jobmesh"].(map[string]any); ok {
		settings = merge(settings, library)
	}
	return settings
}

// merge merges maps, the second over the first. It changes neither.
func merge(under, over map[string]any) map[string]any {
	merged := map[string]any{}
	for key, value := range under {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			value = merge(below, above)
		}
		merged[key] = value
	}
	return merged
}

var schemaLine = regexp.MustCompile(`(?m)^\s*- at '(.*?)': (.*)$`)

// explainValues says what the schema of the library chart found.
func explainValues(err error) error {
	var mistakes []string
	for _, m := range schemaLine.FindAllStringSubmatch(err.Error(), -1) {
		path := strings.ReplaceAll(strings.TrimPrefix(m[1], "/"), "/", ".")
		if path != "" {
			path += ": "
		}
		mistakes = append(mistakes, path+strings.NewReplacer("additional properties", "unknown settings", " not allowed", "").Replace(m[2]))
	}
	if mistakes == nil {
		return fault.New(fault.Usage, fmt.Errorf("values: %w", err))
	}
	return fault.New(fault.Usage, errors.New("values: "+strings.Join(mistakes, "; ")), "docs/chart.md lists the settings")
}
