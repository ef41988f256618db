// Package registries shows that what jobmesh builds and publishes is taken and
// read by programs that others wrote: registries (that of Debian, and one in
// process, with and without the referrers API), skopeo, containerd,
// go-containerregistry, oras and both Helm programs.
//
// It runs bin/jobmesh on dist/, which `make build` makes; ci/registries provides
// the rest.
package registries
