package inject

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// A ResourceList is what kustomize and kpt send to a function: the objects are in items, and
// the settings in functionConfig. The function answers with the list, and writes its messages
// into results.

// FunctionKind is the kind of a functionConfig that holds settings of jobmesh. A ConfigMap may
// hold them as well.
const FunctionKind = "JobmeshInject"

func isResourceList(d *manifest.Document) bool {
	return manifest.Text(manifest.Get(d.Root, "kind")) == "ResourceList"
}

// functionSettings returns the settings in the functionConfig of a document. A JobmeshInject
// has them in spec or in spec.values, a ConfigMap in data, whose strings hold YAML. For a
// document without a functionConfig it returns nil.
func functionSettings(d *manifest.Document) (map[string]any, error) {
	if !isResourceList(d) || manifest.Get(d.Root, "functionConfig") == nil {
		return nil, nil
	}
	tree, err := meaning(d)
	if err != nil {
		return nil, err
	}
	config, _ := manifest.Lookup(tree, manifest.Path{"functionConfig"}).(map[string]any)
	spec, _ := config["spec"].(map[string]any)
	switch kind := config["kind"]; {
	case config == nil:
		return nil, nil
	case kind == FunctionKind && spec["values"] != nil:
		values, isMap := spec["values"].(map[string]any)
		if !isMap {
			return nil, errors.New("functionConfig: spec.values must be a mapping")
		}
		return values, nil
	case kind == FunctionKind:
		return spec, nil
	case kind != "ConfigMap":
		return nil, fmt.Errorf("functionConfig: kind must be %s or ConfigMap, got %v", FunctionKind, kind)
	}
	data, _ := config["data"].(map[string]any)
	values := map[string]any{}
	for _, key := range sorted(data) {
		var value any
		text, isString := data[key].(string)
		if err := sigs.Unmarshal([]byte(text), &value); err != nil || !isString {
			return nil, fmt.Errorf("functionConfig: data.%s must be a string that holds YAML", key)
		}
		values[key] = value
	}
	return values, nil
}

// resultTag is the tag that marks a result as one of jobmesh. The value of the tag says what
// --uninject has to remove.
const (
	resultTag = "jobmesh.dev/added"
	newList   = "list" // the whole list of results, which the document did not have before
	newItem   = "item" // only this item of the list
)

// withResults adds the notes on objects that were not injected to the results of a
// ResourceList.
func (u *unit) withResults() {
	d := manifest.Parse(u.document.File, u.document.Line, u.text)
	tag := newList
	if manifest.Get(d.Root, "results") != nil {
		tag = newItem
	}
	var results []any
	for _, note := range u.notes {
		if note.Action != Skipped && note.Action != Noted {
			continue
		}
		reference := map[string]any{"apiVersion": note.apiVersion, "kind": note.kind, "name": note.name}
		if note.namespace != "" {
			reference["namespace"] = note.namespace
		}
		results = append(results, map[string]any{
			"message": note.String(), "severity": "info", "resourceRef": reference, "tags": map[string]any{resultTag: tag},
		})
	}
	if results == nil {
		return
	}
	change := patch.Change{Op: patch.AddKey, Key: "results", Value: results}
	if tag == newItem {
		change = patch.Change{Op: patch.Append, Path: manifest.Path{"results"}, Value: results}
	}
	plan, err := patch.New(d, []patch.Change{change}, true)
	if err == nil {
		if d, err = plan.Apply(); err == nil {
			u.text = d.Text
			return
		}
	}
	u.mistakes = append(u.mistakes, Mistake{File: u.document.File, Line: u.document.Line,
		Err: &manifest.Error{File: u.document.File, Line: u.document.Line, Cause: "results: " + err.Error()}})
}

// earlierResults returns the changes that remove the results of an earlier run.
func earlierResults(d *manifest.Document) ([]patch.Undo, error) {
	if !isResourceList(d) {
		return nil, nil
	}
	var lines string
	for i, item := range manifest.Items(manifest.Get(d.Root, "results")) {
		if item.Kind != yaml.MappingNode {
			continue
		}
		switch manifest.Text(manifest.Get(item, "tags", resultTag)) {
		case newList:
			lines = "+ /results\n" + lines
			lines += fmt.Sprintf("+ /results/%d\n", i)
		case newItem:
			lines += fmt.Sprintf("+ /results/%d\n", i)
		}
	}
	return patch.Parse(lines)
}
