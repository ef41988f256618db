package survey

import (
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// admit asks the policies about all objects in namespaces that they apply to, in one call.
func (s *survey) admit() error {
	if !s.Engine.Changes() || len(s.Labelled) == 0 {
		return nil
	}
	var objects []manifest.Object
	s.written(func(w written) {
		if !s.Labelled[w.meta.GetNamespace()] {
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
	s.admitted = map[lint.Object]lint.Admitted{}
	for i, as := range all {
		if len(as.Templates) > 0 {
			s.admitted[nameOf(objects[i])] = as
		}
	}
	return nil
}

func nameOf(o manifest.Object) lint.Object {
	return lint.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}
