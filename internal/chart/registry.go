package chart

import (
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of a chart in a registry.
const (
	ConfigType  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	ArchiveType types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// PinTo is a repository as a chart and a kubelet name it: what a client calls
// index.docker.io is docker.io to them. The digest is left to the caller.
func PinTo(repo name.Repository) Pin {
	registry := repo.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return Pin{Registry: registry, Repository: repo.RepositoryStr()}
}

// Name is the repository of the image with its registry in front.
func (p Pin) Name() string { return p.Registry + "/" + p.Repository }

// URL is the registry and prefix of charts as Helm names it.
func URL(prefix string) string { return "oci://" + prefix }
