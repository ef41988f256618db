package survey

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// admit asks the policies about all objects in namespaces that they apply to, in one call.
func (s *survey) admit() error {
	if !s.Engine.Changes() || len(s.Labelled) == 0 {
		return nil
	}
	var objects []manifest.Object
	begun := s.begun()
	s.written(func(w written) {
		if !s.Labelled[w.meta.GetNamespace()] || w.job && begun[w.meta.GetUID()] {
			return
		}
		if read, err := w.read(); err == nil {
			objects = append(objects, read)
		}
	})
	all, err := s.Policies.Admit(objects)
	if err != nil {
		return err
	}
	s.admitted = map[name]lint.Admitted{}
	for i, as := range all {
		if len(as.Templates) > 0 {
			s.admitted[nameOf(objects[i])] = as
		}
	}
	return nil
}

// begun are the UIDs of those who own a pod. The policies do not change a pod that exists, so that
// its Job is judged as it is written.
func (s *survey) begun() map[types.UID]bool {
	owners := map[types.UID]bool{}
	for i := range s.Pods {
		for _, o := range s.Pods[i].OwnerReferences {
			owners[o.UID] = true
		}
	}
	return owners
}

// A name tells objects apart.
type name struct{ group, kind, namespace, name string }

func nameOf(o manifest.Object) name { return name{o.Group(), o.Kind, o.Namespace, o.Name} }
