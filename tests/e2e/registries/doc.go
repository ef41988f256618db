// Package registries shows that independent programs accept and read what jobmesh builds and publishes: registries
// (Debian's and one in this process, with and without the referrers API), skopeo, containerd, go-containerregistry,
// oras, and both Helm programs.
//
// It runs bin/jobmesh on dist/, which `make build` makes; ci/registries provides the rest.
package registries
