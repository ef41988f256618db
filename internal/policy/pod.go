package policy

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// A pod is a pod template as what it means, with the names of its containers by what the
// policies take them for.
type pod struct {
	before, after map[string]any
	// containers are all ordinary ones, proxies those of meshes, and moved both those and the
	// helpers that become native. work are the others.
	containers, proxies, moved, work []string
	// named are those that the annotation names.
	named []string
	texts map[string]map[string]string
}

func podOf(t manifest.PodTemplate, nativize bool) pod {
	tree, _ := MeaningOf(t.Node).(map[string]any)
	p := pod{before: tree, after: maps.Clone(tree), texts: map[string]map[string]string{"labels": t.Texts("labels"), "annotations": t.Texts("annotations")}}
	for name := range strings.FieldsFuncSeq(p.texts["annotations"][ContainersKey], func(r rune) bool { return r == ',' || r == '\n' }) {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(p.named, name) {
			p.named = append(p.named, name)
		}
	}
	var helpers []string
	for _, c := range t.Containers() {
		if c.Init {
			continue
		}
		p.containers = append(p.containers, c.Name)
		switch named := slices.Contains(p.named, c.Name); {
		case named:
		case slices.Contains(lint.ProxyNames(), c.Name):
			p.proxies = append(p.proxies, c.Name)
		case isHelper(c):
			helpers = append(helpers, c.Name)
		}
	}
	switch {
	case !nativize, len(p.proxies) == len(p.containers):
	case len(p.proxies)+len(helpers) == len(p.containers):
		p.moved = p.proxies
	default:
		p.moved = slices.Concat(p.proxies, helpers)
	}
	for _, name := range p.containers {
		if !slices.Contains(p.moved, name) && !slices.Contains(p.proxies, name) {
			p.work = append(p.work, name)
		}
	}
	return p
}

// isHelper tells whether a container serves the others for as long as nobody ends it.
func isHelper(c manifest.Container) bool {
	byName := slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Annotation == "" && m.Container == c.Name && c.Name != "" })
	return byName || seen(c)
}

// left is why a pod is not wrapped, where that is known without the chart. It is empty where
// there is nothing to say about it, since it is wrapped already.
func (p *pod) left(t manifest.PodTemplate) (why string, left bool) {
	wrapped := slices.ContainsFunc(t.Containers(), func(c manifest.Container) bool { return !c.Init && isWrapped(c) })
	switch missing := p.missing(); {
	case wrapped:
		return "", true
	case t.HostNetwork():
		return "it does not wrap pods with hostNetwork: true", true
	case t.Windows():
		return "it does not wrap pods for Windows", true
	case p.meshOut():
		return "it does not wrap pods that are out of a mesh by their own words, and in no other", true
	case len(p.named) == 0 && len(p.work) != 1:
		return fmt.Sprintf("it does not wrap this pod: nothing says which of %s do the work; annotate the pod template with %s: %s, or with the names of those that do, such as %s",
			strings.Join(p.work, ", "), ContainersKey, every, first(p.work)), true
	case len(missing) > 0:
		return fmt.Sprintf("it does not wrap this pod: %s names %s, and the pod has %s", ContainersKey, strings.Join(missing, ", "), strings.Join(p.work, ", ")), true
	case p.silent() != "" && t.Row.Fills == "":
		return fmt.Sprintf("it does not wrap this pod: container `%s` has no command, and its value images does not say what the image runs", p.silent()), true
	}
	return "", false
}

func first(names []string) string {
	if len(names) == 0 {
		return "main"
	}
	return names[0]
}

// hookName is the name of the script in which mode hook of the library chart starts a command.
const hookName = "jobmesh-hook"

// isWrapped recognises a command that jobmesh has changed.
func isWrapped(c manifest.Container) bool {
	words := manifest.Items(manifest.Get(c.Node, "command"))
	word := func(i int) string {
		if i >= len(words) {
			return ""
		}
		return manifest.Text(words[i])
	}
	return path.Base(word(0)) == wrapflags.JobmeshWrap || word(0) == "/bin/sh" && word(3) == hookName
}

// meshOut tells whether the pod keeps itself out of one mesh, and asks for no other one.
func (p *pod) meshOut() bool {
	out := false
	for _, m := range mesh.All() {
		if m.Annotation == "" {
			continue
		}
		for _, level := range m.Inject.Levels {
			field := map[mesh.Level]string{mesh.PodLabel: "labels", mesh.PodAnnotation: "annotations"}[level]
			value, said := p.texts[field][m.Inject.Key]
			if !said {
				continue
			}
			if !slices.Contains(m.Inject.No, value) {
				return false
			}
			out = true
			break
		}
	}
	return out
}

// wanted are the names of the containers that are to be wrapped.
func (p *pod) wanted() []string {
	if len(p.named) > 0 && !slices.Equal(p.named, []string{every}) {
		return p.named
	}
	return p.work
}

// missing are the names of the annotation that the pod does not have.
func (p *pod) missing() []string {
	return slices.DeleteFunc(slices.Clone(p.wanted()), func(name string) bool { return slices.Contains(p.work, name) })
}

// silent is the first container to be wrapped that has no command, "" where all have one.
func (p *pod) silent() string {
	for _, item := range list(p.spec(), "containers") {
		c, _ := item.(map[string]any)
		if command, _ := c["command"].([]any); len(command) == 0 && slices.Contains(p.wanted(), nameOf(item)) {
			return nameOf(item)
		}
	}
	return ""
}

func (p *pod) spec() map[string]any {
	spec, _ := p.after["spec"].(map[string]any)
	return spec
}

// onlyWork is the pod template as the chart is asked to wrap it: without proxies and what becomes
// native, and with the restartPolicy that its kind gives it.
func (p *pod) onlyWork(restartPolicy string) map[string]any {
	spec := maps.Clone(p.spec())
	spec["containers"] = slices.DeleteFunc(slices.Clone(list(spec, "containers")), func(item any) bool {
		return slices.Contains(p.moved, nameOf(item)) || slices.Contains(p.proxies, nameOf(item))
	})
	if restartPolicy != "" {
		spec["restartPolicy"] = restartPolicy
	}
	template := maps.Clone(p.after)
	template["spec"] = spec
	return template
}

// wrapped takes what the chart has made of onlyWork.
func (p *pod) wrapped(made map[string]any) {
	spec, _ := made["spec"].(map[string]any)
	spec = maps.Clone(spec)
	if before, said := p.spec()["restartPolicy"]; said {
		spec["restartPolicy"] = before
	} else {
		delete(spec, "restartPolicy")
	}
	wrapped := list(spec, "containers")
	containers := slices.Clone(list(p.spec(), "containers"))
	for i, item := range containers {
		at := slices.IndexFunc(wrapped, func(other any) bool { return nameOf(other) == nameOf(item) })
		if at >= 0 {
			containers[i] = wrapped[at]
		}
	}
	spec["containers"] = containers
	p.after = maps.Clone(made)
	p.after["spec"] = spec
}

func list(m map[string]any, field string) []any {
	items, _ := m[field].([]any)
	return items
}

func nameOf(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}
