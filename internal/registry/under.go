package registry

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// Under returns the repository of a name under REGISTRY[/PREFIX]. Without a dot, a
// colon or "localhost" in front, a client would take the prefix for one of Docker Hub,
// so that is a usage error.
func Under(prefix, last string, options ...name.Option) (name.Repository, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	host, _, _ := strings.Cut(prefix, "/")
	repo, err := name.NewRepository(prefix+"/"+last, options...)
	if err != nil || strings.HasSuffix(host, ":") || host != "localhost" && !strings.ContainsAny(host, ".:") {
		return repo, fault.New(fault.Usage, fmt.Errorf("registry %q is not of the form REGISTRY[/PREFIX]", prefix),
			"as in registry.example.com/platform")
	}
	return repo, nil
}
