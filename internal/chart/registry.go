package chart

import (
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// These are the media types of a chart in a registry.
const (
	ConfigType  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	ArchiveType types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// PinTo returns a repository as charts and kubelets write it: they say docker.io where a client
// says index.docker.io. The caller adds the digest.
func PinTo(repo name.Repository) Pin {
	registry := repo.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return Pin{Registry: registry, Repository: repo.RepositoryStr()}
}

// Name returns the repository of the image with its registry.
func (p Pin) Name() string { return p.Registry + "/" + p.Repository }

// URL returns the registry and prefix of charts as Helm writes them.
func URL(prefix string) string { return "oci://" + prefix }
