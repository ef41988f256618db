// Package entrypoint finds the containers in manifests that have no command, and asks
// registries what their images run on every Linux platform. The answers go to a lock file
// (package lockfile).
package entrypoint

import (
	"fmt"
	"slices"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A Use is a container without a command, which runs what its image says.
type Use struct {
	Image string
	// File, Line, Object and Container are the place of the use. They are empty for an image
	// that the user has named directly.
	File              string
	Line              int
	Object, Container string
	// Args says that the spec has args, so that the image's CMD is not used.
	Args bool
}

// String returns the place of the use and the image.
func (u Use) String() string {
	if u.Object == "" {
		return "image " + u.Image
	}
	return fmt.Sprintf("%s:%d: %s: container %s: image %s", u.File, u.Line, u.Object, u.Container, u.Image)
}

// Uses returns the containers of an object that have no command: those of the kinds that are
// injected by default, and of the further kinds. Init containers and containers on Windows are
// left out, because they are not wrapped.
func Uses(o manifest.Object, kinds []string) []Use {
	var uses []Use
	for _, template := range o.PodTemplates() {
		if t := template.Row.Inject; t != kind.Always && t != kind.Hook && !slices.Contains(kinds, o.Kind) {
			continue
		}
		if template.Windows() {
			continue
		}
		for _, c := range template.Containers() {
			if c.Init || len(manifest.Items(manifest.Get(c.Node, "command"))) > 0 {
				continue
			}
			uses = append(uses, Use{
				Image: manifest.Text(manifest.Get(c.Node, "image")),
				File:  o.Document.File, Line: c.Node.Line, Object: o.String(), Container: c.Name,
				Args: len(manifest.Items(manifest.Get(c.Node, "args"))) > 0,
			})
		}
	}
	return uses
}
