// Package pages says where the documentation of this version of jobmesh is.
package pages

import "github.com/jobmesh/jobmesh"

// URL returns the address of a page, whose path is relative to docs/, as in rules/JM101.md. The
// address contains the tag of this version, which exists once the version is released.
func URL(page string) string { return Source("docs/" + page) }

// Source returns the address of a file or folder of this version's sources, whose path is
// relative to their root.
func Source(path string) string {
	return "https://github.com/jobmesh/jobmesh/blob/v" + jobmesh.Version + "/" + path
}
