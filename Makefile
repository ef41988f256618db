# These targets are for people, and CI calls the same ones. `make` alone lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

COMMIT := $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)
# bin/jobmesh is linked twice: what inject pins is the image that the first one builds.
LINK     = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.commit=$(COMMIT) $(1)" -o bin/jobmesh ./cmd/jobmesh
TOOLS   := bin/helm3 bin/helm4 bin/helm-unittest bin/kustomize bin/staticcheck

# REGISTRY=registry.example.com/platform builds for the place that will be published to.
REGISTRY ?=

# MESHES=all has make e2e run every combination beside the real meshes.
export MESHES ?=

# Everything is compiled in one way, so that a target finds in Go's cache what another one has
# compiled: the programs of make e2e and the tests share most of Kubernetes.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(GOFLAGS) -trimpath)

export JOBMESH_HELM3 := $(CURDIR)/bin/helm3
export JOBMESH_HELM4 := $(CURDIR)/bin/helm4
export JOBMESH_KUSTOMIZE := $(CURDIR)/bin/kustomize
export JOBMESH_DIST  := $(CURDIR)/dist

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

.PHONY: build
build: bin/jobmesh ## build the CLI, the multi-arch image and the pinned chart: bin/jobmesh and dist/
	digest=$$(bin/jobmesh build $(if $(REGISTRY),--registry $(REGISTRY))); \
	$(call LINK,-X main.imageDigest=$$digest $(if $(REGISTRY),-X main.imageRepository=$(REGISTRY)/jobmesh-wrap)); echo $$digest

.PHONY: test
test: $(TOOLS) ## run every test that needs no root and no cluster
	go test -count=1 -timeout 30m ./...
	ci/template-tests
	ci/alerts
	ci/policy

.PHONY: e2e e2e-check
e2e: e2e-check build $(TOOLS) ## publish to real registries and read back; run real Jobs on a real Kubernetes started here (root on Linux) or on that of KUBECONFIG
	cd tests/e2e && go run ./prepare packages
	ci/meanwhile ci/e2e-programs ci/race ci/toolchain ci/platforms ci/registries ci/pre-commit ci/site-check
	ci/signatures
	ci/meanwhile ci/late-programs ci/e2e
	ci/packed
	ci/kyverno

e2e-check:
	cd tests/e2e && go run ./check

.PHONY: kyverno
kyverno: build $(TOOLS) ## test the policies for Kyverno with Kyverno's own programs, as make e2e does
	cd tests/e2e && go run ./prepare packages
	ci/kyverno

.PHONY: bench
bench: build $(TOOLS) ## measure the wrapper beside tini and a direct start, the chart, inject and lint, what reads clusters beside kubectl, and build and publish beside ko
	ci/bench

.PHONY: lint
lint: $(TOOLS) ## check formatting, modules, Go code, templates and that docs/ is what the sources say
	ci/lint

.PHONY: generate
generate: ## write all that is derived from another file of this repository again
	go run ./ci/generate

.PHONY: release
release: build bin/goreleaser ## write archives of the CLI for all platforms, their checksums, bills of materials and provenance into release/, signed where SIGN_KEY names a key; publishes nothing
	JOBMESH_COMMIT=$(COMMIT) REGISTRY=$(REGISTRY) go run ./ci/pack

.PHONY: site
site: ## make a site of the documentation, with search, in site/
	ci/site

.PHONY: clean
clean: ## remove what the other targets made in this folder
	rm -rf bin dist release site

.PHONY: bin/jobmesh
bin/jobmesh:
	$(call LINK)

bin/goreleaser: ci/tools/go.mod ci/tools/go.sum ci/tools/build
	ci/tools/build goreleaser
	touch $@

$(TOOLS) &: ci/tools/go.mod ci/tools/go.sum ci/tools/build
	ci/tools/build
	touch $(TOOLS)
