package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
)

type buildOptions struct {
	image       string
	platforms   []string
	compression string
	registry    string
	output      string
	signKey     string
	offline     bool
	verbose     bool
}

func newBuild(streams Streams) *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the multi-arch image and the chart that is pinned to it",
		Long: `Build compiles the wrapper, assembles its multi-arch image and packs the
library chart, pinned to the image by digest, and the charts that carry it. It
needs the sources and Go, and neither a container daemon nor a network. The same
sources give the same digests on any machine.

It writes below the output folder: oci/ (an OCI layout), NAME-VERSION.oci.tar
(the same as one file), charts/ and result.json (every digest and size). The
digest of the image index goes to stdout, a table to stderr.

Beside the image, in the layout and in the one file, are bills of materials (SPDX
and CycloneDX) and provenance of the index and of each platform, as OCI referrers;
with --sign-key also their signatures. Only the provenance names the commit.

An image of images/ may hold a binary of somebody else's beside the wrapper. It is
taken from the cache, or downloaded, as images/NAME/image.lock pins it.

SOURCE_DATE_EPOCH (seconds since 1970) replaces the date in images/NAME/image.yaml.
Other settings of the caller's, such as GOFLAGS or GOAMD64, do not get into a build;
--verbose names those that there are.`,
		Example: `  jobmesh build
  jobmesh build --platform linux/amd64 --platform linux/arm64
  jobmesh build --registry registry.example.com/platform --output /tmp/dist
  jobmesh build --sign-key cosign.key`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBuild(cmd.Context(), streams, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.image, "image", "jobmesh-wrap", "image to build: a folder of images/")
	flags.StringArrayVar(&o.platforms, "platform", nil, "platform to build for, such as linux/amd64; repeatable (default all of the image)")
	flags.StringVar(&o.compression, "compression", string(image.Gzip), "compression of the layers: gzip or zstd")
	flags.StringVar(&o.registry, "registry", "", "registry and prefix of the image's name, also written into the chart (default that of the chart)")
	flags.StringVarP(&o.output, "output", "o", "dist", "folder to write to")
	flags.StringVar(&o.signKey, "sign-key", "", "private key to sign the image with, in PEM, or of cosign generate-key-pair (passphrase in COSIGN_PASSWORD)")
	flags.BoolVar(&o.offline, "offline", false, "take pinned binaries of others from the cache only")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "say what compiles, with which flags, and which settings of the caller are ignored")
	_ = cmd.RegisterFlagCompletionFunc("platform", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return image.PlatformNames(), cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that is not there
	return cmd
}

func runBuild(ctx context.Context, streams Streams, o buildOptions) error {
	sources, err := findSources()
	if err != nil {
		return err
	}
	// All that can be wrong with the call is found before the first compile.
	chartDir := chartFolder(sources)
	version, err := chart.Version(chartDir)
	if err != nil {
		return err
	}
	recipe, platforms, err := plan(sources, o.image, version, o.platforms)
	if err != nil {
		return err
	}
	if recipe.Compression, err = image.ParseCompression(o.compression); err != nil {
		return err
	}
	pin, repository, err := nameOf(o.registry, recipe, chartDir)
	if err != nil {
		return err
	}
	key, err := signingKey(streams, o.signKey)
	if err != nil {
		return err
	}
	out := release.Folder(o.output)
	if err := out.Prepare(); err != nil {
		return fault.New(fault.LocalIO, err, "choose another folder with --output")
	}
	detail := func(string) {}
	if o.verbose {
		detail = note(streams)
	}
	index, compiler, err := compile(ctx, streams, sources, recipe, platforms, compileOptions{offline: o.offline, detail: detail})
	if err != nil {
		return err
	}
	if index.Attachments, err = attachments(ctx, sources, index, compiler, key); err != nil {
		return err
	}
	made := release.Release{
		Index:     index,
		Reference: image.Reference{Repository: repository, Tag: publish.Tag(version)},
		Toolchain: compiler.Toolchain,
	}
	if recipe.InCharts {
		pin.Digest = index.Blob.Descriptor.Digest.String()
		if err := packCharts(&made, sources, pin, chartRepository(path.Dir(repository)), recipe.Created); err != nil {
			return err
		}
	}
	result, changes, err := out.Write(made)
	for _, c := range changes {
		if c.Damaged {
			note(streams)(c.Path + " was damaged and is written again")
		}
	}
	if err != nil {
		return fault.New(fault.LocalIO, err)
	}
	printTable(streams, result, index.Recipe)
	if len(changes) == 0 {
		_, _ = fmt.Fprintln(streams.Err, "already built: nothing to do") // a courtesy
	}
	_, err = fmt.Fprintln(streams.Out, result.Image.Digest)
	return err
}

// packCharts adds the charts, pinned to the image, to a release.
func packCharts(r *release.Release, sources string, pin chart.Pin, repository string, created time.Time) error {
	archive, err := chart.Pack(chartFolder(sources), pin, created)
	if err != nil {
		return err
	}
	r.Chart = &archive
	library := chart.Library{Archive: archive, Repository: repository}
	folders, err := applicationFolders(sources)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		packed, err := chart.PackApplication(folder, library, created)
		if err != nil {
			return err
		}
		r.Applications = append(r.Applications, packed)
	}
	return nil
}

// applicationFolders returns the charts that are released with the library: each
// folder of charts/ with a Chart.yaml. The examples are one folder deeper.
func applicationFolders(sources string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(sources, "charts", "*", "Chart.yaml"))
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files, nil
}

// chartRepository is the registry and prefix of charts as Helm names it.
func chartRepository(prefix string) string { return "oci://" + prefix }

func chartFolder(sources string) string { return filepath.Join(sources, "library-chart") }

// plan returns what an image is made of, and for which platforms: those named, or
// all of the image's.
func plan(sources, name, version string, names []string) (image.Recipe, []image.Platform, error) {
	recipe, err := image.LoadRecipe(sources, name, version, os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return recipe, nil, err
	}
	if len(names) == 0 {
		names = recipe.Platforms
	}
	platforms, err := image.SelectPlatforms(names)
	if err == nil {
		err = checkPinned(sources, recipe, platforms)
	}
	return recipe, platforms, err
}

type compileOptions struct {
	offline bool
	// detail is told what few want to know.
	detail func(string)
}

// compile makes the image, and returns it with the compiler that was used.
func compile(ctx context.Context, streams Streams, sources string, recipe image.Recipe, platforms []image.Platform, o compileOptions) (*image.Index, *image.Compiler, error) {
	beside, err := fetchPinned(ctx, streams, sources, recipe, platforms, o.offline)
	if err != nil {
		return nil, nil, err
	}
	recipe, platforms = beside.recipe, beside.platforms
	compiler, err := image.NewCompiler(ctx, sources)
	if err != nil {
		return nil, nil, err
	}
	o.detail(fmt.Sprintf("%s is compiled by %s with %s", recipe.Package, compiler.Toolchain, strings.Join(compiler.Environment(), " ")))
	for _, p := range platforms {
		o.detail(fmt.Sprintf("%s: %s go build %s", p.Name, strings.Join(p.Environment(), " "), strings.Join(recipe.GoFlags(p.Architecture()), " ")))
	}
	if len(compiler.Ignored) > 0 {
		o.detail("settings of Go that are ignored: " + strings.Join(compiler.Ignored, ", "))
	}
	binaries, err := compiler.CompileAll(ctx, recipe, platforms, progress(streams, len(platforms)))
	if err != nil {
		return nil, nil, err
	}
	index, err := image.Assemble(recipe, beside.join(binaries))
	return index, compiler, err
}

// attachments makes the documents about an image, and signs them if there is a
// key.
func attachments(ctx context.Context, sources string, index *image.Index, compiler *image.Compiler, key *signature.Key) ([]image.Attachment, error) {
	modules, err := attest.Modules(sources)
	if err != nil {
		return nil, fault.New(fault.Build, err)
	}
	all, err := attest.Image(index, attest.Facts{
		Toolchain:   compiler.Toolchain,
		Environment: compiler.Environment(),
		Revision:    provenance.RevisionOf(ctx, sources),
		Modules:     modules,
	})
	if err != nil || key == nil {
		return all, err
	}
	subjects := []v1.Descriptor{index.Blob.Descriptor}
	for _, c := range index.Children {
		subjects = append(subjects, c.Manifest.Descriptor)
	}
	signed, err := attest.Sign(key, subjects, all)
	return append(all, signed...), err
}

// nameOf returns the image's repository under a registry and prefix, "" for that of
// the chart, and what to write into the chart for it: nothing where the chart says so
// already.
func nameOf(registry string, recipe image.Recipe, chartDir string) (pin chart.Pin, repository string, err error) {
	own, err := chart.ImageRepository(chartDir)
	if err != nil {
		return pin, "", err
	}
	if registry == "" {
		// Another image stands beside that of the chart.
		registry = path.Dir(own)
	}
	repo, err := repositoryUnder(registry, recipe.Name)
	if err != nil {
		return pin, "", err
	}
	pin = pinTo(repo)
	repository = pin.Registry + "/" + pin.Repository
	if repository == own {
		pin = chart.Pin{}
	}
	return pin, repository, nil
}

// pinTo is the repository as a chart and a kubelet name it: what a client calls
// index.docker.io is docker.io to them.
func pinTo(repo name.Repository) chart.Pin {
	registry := repo.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return chart.Pin{Registry: registry, Repository: repo.RepositoryStr()}
}

// repositoryUnder returns the repository of a name under REGISTRY[/PREFIX].
// Without a dot, a colon or "localhost" in front, a client would take the prefix
// for one of Docker Hub.
func repositoryUnder(prefix, last string, options ...name.Option) (name.Repository, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	registry, _, _ := strings.Cut(prefix, "/")
	repo, err := name.NewRepository(prefix+"/"+last, options...)
	if err != nil || strings.HasSuffix(registry, ":") || registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		return repo, fault.New(fault.Usage, fmt.Errorf("registry %q is not of the form REGISTRY[/PREFIX]", prefix),
			"as in registry.example.com/platform")
	}
	return repo, nil
}

// findSources returns the root of the repository that the current folder is in.
func findSources() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil &&
			modfile.ModulePath(text) == "github.com/jobmesh/jobmesh" {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fault.New(fault.Usage, errors.New(here+" is not inside the sources of jobmesh, which this command works on"),
				"git clone https://github.com/jobmesh/jobmesh && cd jobmesh && make build")
		}
	}
}

// progress shows on a terminal how far the compile is, on one line that is
// wiped at the end.
func progress(streams Streams, total int) func(image.Platform) {
	if !streams.Terminal {
		return func(image.Platform) {}
	}
	var done atomic.Int32
	show := func(n int32, last string) {
		line := fmt.Sprintf("\r\x1b[Kcompiling %d/%d %s", n, total, last)
		if int(n) == total {
			line = "\r\x1b[K"
		}
		_, _ = fmt.Fprint(streams.Err, line) // only progress
	}
	show(0, "")
	return func(p image.Platform) { show(done.Add(1), p.Name) }
}

func printTable(streams Streams, r release.Result, recipe image.Recipe) {
	w := tabwriter.NewWriter(streams.Err, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		_, _ = fmt.Fprintf(w, "%v\t%v\t%v\t%v\n", cells...) // a table on stderr is a courtesy
	}
	row("PLATFORM", "SIZE", "COMPRESSED", "DIGEST")
	for _, p := range r.Image.Platforms {
		row(p.Platform, p.Program.Size, p.Layer.Size, p.Digest)
	}
	row("image index", "", "", r.Image.Digest)
	for _, c := range r.Charts() {
		row("chart "+c.Name+" "+c.Version, "", c.Size, c.Digest)
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(streams.Err, "created %s (%s)\n", recipe.Created.Format(time.RFC3339), recipe.CreatedFrom)
}
