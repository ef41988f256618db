// Package policy says what the policies of the chart jobmesh-policy, with its default values or
// with one of them left out, make of pods, before there is a cluster that has them. It wraps as jobmesh inject does, by the
// library chart, and moves proxies and helpers as charts/policy/templates/nativize.yaml does;
// tests/policy holds the result against the policies themselves.
//
// Objects come out as lint reads them: what a policy has not changed is the node that was
// written, and what it has added has the line of what it was added to.
package policy

import (
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/running"
)

// ContainersKey is the annotation of a pod that names the containers to wrap, or all of them.
const ContainersKey = "jobmesh.dev/containers"

const every = "all"

// Policies are those of the chart, of which some may not be installed.
type Policies struct {
	library fs.FS
	has     running.Installed
	mutex   sync.Mutex
	// injectors are those that were needed, by the containers that they wrap.
	injectors map[string]*inject.Injector
}

// Default are the policies that the chart installs by its default values.
func Default() running.Installed { return running.Installed{Wrap: true, Nativize: true} }

// New returns the policies of a library chart, in the folder library-chart.
func New(library fs.FS, has running.Installed) *Policies {
	return &Policies{library: library, has: has, injectors: map[string]*inject.Injector{}}
}

// A task is a pod template that the policies look at.
type task struct {
	object    int
	template  manifest.PodTemplate
	pod       pod
	treatment lint.Treatment
	// containers are those that are wrapped, as the chart is told; asked says that it is asked.
	containers string
	asked      bool
}

// Admit returns what becomes of objects in namespaces where the policies hold, in their order.
// The error is that of the library chart.
func (p *Policies) Admit(objects []manifest.Object) ([]lint.Admitted, error) {
	var tasks []*task
	for i, o := range objects {
		for _, t := range o.PodTemplates() {
			if t.Row.Pods == kind.Serve || t.Row.Pods == kind.Unjudged {
				continue
			}
			k := &task{object: i, template: t}
			if k.treatment.Left = kept(t); k.treatment.Left == "" {
				k.read(p.has)
			}
			tasks = append(tasks, k)
		}
	}
	if err := p.wrap(tasks); err != nil {
		return nil, err
	}
	admitted := make([]lint.Admitted, len(objects))
	for i, o := range objects {
		admitted[i] = lint.Admitted{Object: o, Templates: map[string]lint.Treatment{}}
	}
	for _, k := range tasks {
		a := &admitted[k.object]
		a.Templates[k.template.Path.String()] = k.treatment
		if k.pod.after != nil {
			a.Object.Node = k.written(a.Object.Node)
		}
	}
	return admitted, nil
}

// kept is why the policies do not look at the pods of a template at all, "" where they do.
func kept(t manifest.PodTemplate) string {
	switch {
	case len(t.Path) == 0 && manifest.Get(t.Node, "metadata", "ownerReferences") != nil:
		if !ownedByJob(t.Object) {
			return "it looks at pods of Jobs alone, unless its value owners says otherwise"
		}
	case len(t.Path) == 0 && manifest.Get(t.Node, "metadata", "annotations", hook) == nil:
		return "it looks at a Pod without an owner only where that is a Helm hook"
	case len(t.Path) > 0 && !t.OfJobs():
		return "it looks at pods of Jobs alone, unless its value owners says otherwise, and those of a " + t.Object.Kind + " are none"
	}
	for _, field := range []string{"labels", "annotations"} {
		if t.Texts(field)[lint.PolicyKey] == lint.PolicyOff {
			return "the " + strings.TrimSuffix(field, "s") + " " + lint.PolicyKey + ": " + lint.PolicyOff + " keeps it out"
		}
	}
	return ""
}

const hook = "helm.sh/hook"

// ownedByJob tells whether the controller of a Pod is a Job.
func ownedByJob(o manifest.Object) bool {
	return slices.ContainsFunc(manifest.Items(manifest.Get(o.Node, "metadata", "ownerReferences")), func(owner *node) bool {
		group, _, _ := strings.Cut(manifest.Text(manifest.Get(owner, "apiVersion")), "/")
		return manifest.Text(manifest.Get(owner, "controller")) == "true" && manifest.Text(manifest.Get(owner, "kind")) == "Job" && group == "batch"
	})
}

// read decides what is done with a pod template, but for what only the chart knows.
func (k *task) read(has running.Installed) {
	k.pod = podOf(k.template, has.Nativize)
	k.treatment.Native = has.Nativize && len(k.pod.proxies) < len(k.pod.containers)
	if !has.Wrap {
		k.treatment.Left = "it wraps no pods, since its value wrap is false"
		return
	}
	if left, has := k.pod.left(k.template); has {
		k.treatment.Left = left
		return
	}
	if k.template.Row.Fills != "" && k.pod.silent() != "" {
		return // the command that its controller writes is wrapped, and not known here
	}
	k.asked = true
	k.containers = strings.Join(k.pod.named, ",")
}

// wrap asks the chart for those that are to be wrapped, and moves what becomes native.
func (p *Policies) wrap(tasks []*task) error {
	groups := map[string][]*task{}
	for _, k := range tasks {
		if k.asked {
			groups[k.containers] = append(groups[k.containers], k)
		}
	}
	for containers, group := range groups {
		in, err := p.injector(containers)
		if err != nil {
			return err
		}
		var asked []map[string]any
		for _, k := range group {
			asked = append(asked, k.pod.onlyWork(k.template.RestartPolicy()))
		}
		made, err := in.Templates(asked)
		if err != nil {
			return err
		}
		for i, k := range group {
			if made[i].Mistakes != nil {
				k.treatment.Left = strings.Join(made[i].Mistakes, "; ")
				continue
			}
			k.pod.wrapped(made[i].Meaning)
			k.treatment.Wrapped = true
		}
	}
	for _, k := range tasks {
		k.pod.nativize()
	}
	return nil
}

// injector is that of some containers: of all, of those that are named, or of the only one.
func (p *Policies) injector(containers string) (*inject.Injector, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if in := p.injectors[containers]; in != nil {
		return in, nil
	}
	settings := map[string]any{"delivery": "imageVolume"}
	switch containers {
	case "":
	case every:
		settings["containers"] = every
	default:
		var names []any
		for name := range strings.SplitSeq(containers, ",") {
			names = append(names, name)
		}
		settings["containers"] = names
	}
	in, err := inject.New(inject.Options{Library: p.library, Values: map[string]any{"jobmesh": settings}})
	if err != nil {
		return nil, err
	}
	p.injectors[containers] = in
	return in, nil
}

// written is the node of the object with what was changed in one pod template.
func (k *task) written(object *node) *node {
	return replaced(object, k.template.Path, overlay(k.template.Node, k.pod.before, k.pod.after))
}
