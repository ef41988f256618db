// Package entrypoint finds the containers of manifests that run what their image says,
// and asks registries what that is, on every Linux platform of the image. The answers
// go to a lock file (package lockfile).
package entrypoint

import (
	"fmt"
	"slices"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A Use is a container that runs what its image says, since its spec has no command.
type Use struct {
	Image string
	// File, Line, Object and Container say where; empty for an image that was named
	// by itself.
	File              string
	Line              int
	Object, Container string
	// Args says that the spec has args, so that the image's CMD is not asked for.
	Args bool
}

// String says where the image is used and which it is.
func (u Use) String() string {
	if u.Object == "" {
		return "image " + u.Image
	}
	return fmt.Sprintf("%s:%d: %s: container %s: image %s", u.File, u.Line, u.Object, u.Container, u.Image)
}

// Uses returns the containers of an object that run what their image says: of the
// kinds that are injected unasked, and of the further ones named. Init containers are
// not wrapped, and neither is anything on Windows.
func Uses(o manifest.Object, kinds []string) []Use {
	var uses []Use
	for _, template := range o.PodTemplates() {
		if t := template.Row.Inject; t != kind.Always && t != kind.Hook && !slices.Contains(kinds, o.Kind) {
			continue
		}
		spec, _ := template.Spec()
		if manifest.Text(manifest.Get(spec, "os", "name")) == "windows" ||
			manifest.Text(manifest.Get(spec, "nodeSelector", "kubernetes.io/os")) == "windows" {
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
