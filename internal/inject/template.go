package inject

import "errors"

// A Template is what the library chart makes of the template of a Job's pods: what it means
// afterwards, or what is wrong with it.
type Template struct {
	Meaning  map[string]any
	Mistakes []string
}

// Templates has the library chart inject pod templates, given as what they mean. It changes no
// text, and looks at nothing that keeps the wrapper out of a pod beside what the chart refuses.
func (in *Injector) Templates(templates []map[string]any) ([]Template, error) {
	var asked []string
	for _, t := range templates {
		asked = append(asked, asJSON(map[string]any{
			"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "job"}, "spec": map[string]any{"template": t},
		}))
	}
	if len(asked) == 0 {
		return nil, nil
	}
	renderings, err := in.renderer.render(asked)
	if err != nil {
		return nil, err
	}
	results := make([]Template, len(renderings))
	for i, r := range renderings {
		results[i].Mistakes = r.mistakes
		spec, _ := r.object["spec"].(map[string]any)
		template, isMap := spec["template"].(map[string]any)
		if !isMap && r.mistakes == nil {
			return nil, errors.New("library chart: a Job without a pod template came back")
		}
		results[i].Meaning = template
	}
	return results, nil
}
