package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// versionResult is what jobmesh version prints; docs/version.schema.json describes it.
type versionResult struct {
	Version  string       `json:"version"`
	Commit   string       `json:"commit"`
	Go       string       `json:"go"`
	Platform string       `json:"platform"`
	Image    versionImage `json:"image"`
	Tables   tables       `json:"tables"`
}

// versionImage is the image that inject writes where no value and no setting names another one.
type versionImage struct {
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

// tables are the names that this program has in its tables.
type tables struct {
	Meshes  []string `json:"meshes"`
	Helpers []string `json:"helpers"`
	Rules   []string `json:"rules"`
}

func newVersion(streams Streams, version string, l linked) *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which jobmesh this is, and what it knows",
		Long: `Version prints the version, the commit and the release of Go that this program
was built from, the image that inject writes by default, and the names of the
meshes, helpers and rules in its tables. A script that needs a rule can ask
whether this program has it. A value that is not known is empty: the commit
where the sources have no git, the digest where no image was built with the
program.`,
		Example: `  jobmesh version
  jobmesh version -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := o.check(); err != nil {
				return err
			}
			result, err := versionOf(version, l)
			if err != nil {
				return err
			}
			if o.isText() {
				return printVersion(streams, result)
			}
			return o.print(streams.Out, result)
		},
	}
	o.register(cmd, resultFormats)
	return cmd
}

func versionOf(version string, l linked) (versionResult, error) {
	chart, err := helm.LoadFS(library.LibraryChart, "library-chart")
	if err != nil {
		return versionResult{}, err
	}
	image, _ := chart.Values["image"].(map[string]any)
	registry, _ := image["registry"].(string)
	repository, _ := image["repository"].(string)
	result := versionResult{
		Version:  version,
		Commit:   commitOf(debug.ReadBuildInfo()),
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Image:    versionImage{Repository: cmp.Or(l.imageRepository, registry+"/"+repository), Digest: l.imageDigest},
	}
	if l.commit != "" {
		result.Commit = l.commit
	}
	result.Tables.Meshes, result.Tables.Helpers = mesh.Names(), sidecar.Names()
	for _, r := range lint.Rules() {
		result.Tables.Rules = append(result.Tables.Rules, r.ID)
	}
	return result, nil
}

// commitOf returns the commit that Go has written into the program, with -dirty behind it where
// the sources had uncommitted changes, and "" where Go has written none.
func commitOf(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return ""
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit != "" && settings["vcs.modified"] == "true" {
		commit += "-dirty"
	}
	return commit
}

func printVersion(streams Streams, r versionResult) error {
	image := r.Image.Repository
	if r.Image.Digest != "" {
		image += "@" + r.Image.Digest
	}
	w := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "jobmesh\t%s\n", r.Version) // Flush has the error
	for _, row := range [][2]string{
		{"commit", r.Commit}, {"go", r.Go}, {"platform", r.Platform}, {"image", image},
		{"meshes", strings.Join(r.Tables.Meshes, ", ")},
		{"helpers", fmt.Sprint(len(r.Tables.Helpers))}, {"rules", fmt.Sprint(len(r.Tables.Rules))},
	} {
		if row[1] != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	return w.Flush()
}
