package registry

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// Under returns the repository with a name under REGISTRY[/PREFIX]. A prefix whose first part
// has no dot and no colon, and is not "localhost", is a usage error, because clients would look
// for it in Docker Hub.
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
