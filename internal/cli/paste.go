package cli

import (
	"fmt"
	"path"
	"runtime"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/release"
)

// toPaste returns lines for users of what was published under a prefix: for their charts, their
// shells and their Helm. The parameter signed says whether they have a key to check it with.
func toPaste(artifacts []publish.Artifact, prefix, version string, signed bool) []string {
	key, keyring := "", " --verify=false"
	if signed {
		key, keyring = " --key cosign.pub", " --keyring jobmesh.gpg"
	}
	here := plugin.Archive{Version: version, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	var lines []string
	add := func(title string, paste ...string) {
		lines = append(lines, "", title)
		for _, line := range paste {
			lines = append(lines, "  "+line)
		}
	}
	for _, a := range artifacts {
		name := path.Base(a.Repository.RepositoryStr())
		reference := a.Repository.Name() + ":" + a.Tags[0]
		plainHTTP := ""
		if a.Repository.Scheme() == "http" {
			plainHTTP = " --plain-http" // Helm needs it for a registry on this machine, too
		}
		switch {
		case a.Kind == publish.ImageKind && name == "jobmesh-wrap":
			add("To verify it:", "jobmesh verify "+reference+key)
			add("jobmesh inject with this image:", "export JOBMESH_IMAGE="+a.Reference())
		case a.Kind == publish.ChartKind && name == "jobmesh":
			add("For the Chart.yaml of a chart, followed by helm dependency update"+plainHTTP+":",
				"dependencies:", fmt.Sprintf("  - {name: %s, version: %s, repository: %q}", name, version, chart.URL(prefix)))
		case a.Kind == publish.ChartKind:
			add("The chart "+name+" as it is:", "helm install NAME "+chart.URL(prefix)+"/"+name+" --version "+version+plainHTTP+" -f values.yaml")
		case a.Kind == publish.PluginKind && a.Tags[0] == release.Tag(here.Tag()):
			add("Helm 4 with --post-renderer jobmesh, for machines of this platform:", "helm plugin install oci://"+reference+plainHTTP+keyring)
		}
	}
	return lines
}
