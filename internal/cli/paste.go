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

// toPaste are lines for those who use what was published under a prefix: for their charts,
// their shells and their Helm. signed says whether there is a key to check it with.
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
			plainHTTP = " --plain-http" // Helm asks for it on this machine too
		}
		switch {
		case a.Kind == publish.ImageKind && name == "jobmesh-wrap":
			add("What stands behind it:", "jobmesh verify "+reference+key)
			add("jobmesh inject with this image:", "export JOBMESH_IMAGE="+a.Reference())
		case a.Kind == publish.ChartKind && name == "jobmesh":
			add("In the Chart.yaml of a chart, and then helm dependency update"+plainHTTP+":",
				"dependencies:", fmt.Sprintf("  - {name: %s, version: %s, repository: %q}", name, version, chart.URL(prefix)))
		case a.Kind == publish.ChartKind:
			add("The chart "+name+" as it is:", "helm install NAME "+chart.URL(prefix)+"/"+name+" --version "+version+plainHTTP+" -f values.yaml")
		case a.Kind == publish.PluginKind && a.Tags[0] == release.Tag(here.Tag()):
			add("Helm 4 with --post-renderer jobmesh, for machines like this one:", "helm plugin install oci://"+reference+plainHTTP+keyring)
		}
	}
	return lines
}
