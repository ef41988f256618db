// Package pages says where the documentation of this version of jobmesh is.
package pages

import "github.com/jobmesh/jobmesh"

// URL is the address of a page, which is a path below docs/, as in rules/JM101.md. It is
// that of the version's tag, which is there as soon as the version is released.
func URL(page string) string { return Source("docs/" + page) }

// Source is the address of any file or folder of this version's sources, by its path from
// their root.
func Source(path string) string {
	return "https://github.com/jobmesh/jobmesh/blob/v" + jobmesh.Version + "/" + path
}
