package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/upstream"
	"github.com/jobmesh/jobmesh/internal/verify"
)

type verifyOptions struct {
	rebuild   bool
	key       string
	plainHTTP bool
}

func newVerify(streams Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [DIST|ARCHIVE|REFERENCE]",
		Short: "Check that a release is what it says it is",
		Long: `Verify checks a folder that build wrote or its result.json, the .oci.tar archive
alone, an OCI layout, or an image or a chart in a registry: every digest, the
platforms, the configuration and the program of each, the bills of materials and
the provenance, and that the chart is pinned to the image. Inside the sources it
compares a binary of somebody else's with images/NAME/image.lock. With --key it
checks the signatures too, with nothing but that key: no log, no network besides
the registry.

With --rebuild it compiles the sources again and says what differs, if anything:
the program, the layer around it, or only its compression. The charts of a folder
are packed again too.

It prints a line for each thing it looked at. Exit code 8 means that something is
not as it should be.`,
		Example: `  jobmesh verify
  jobmesh verify dist --rebuild
  jobmesh verify jobmesh-wrap-0.1.0.oci.tar --key cosign.pub
  jobmesh verify registry.example.com/platform/jobmesh-wrap:0.1.0 --key cosign.pub`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArguments(cmd, args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), streams, append(args, "dist")[0], o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.rebuild, "rebuild", false, "compile the sources again and compare")
	flags.StringVar(&o.key, "key", "", "public key that everything has to be signed with, in PEM, as cosign.pub")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	return cmd
}

func runVerify(ctx context.Context, streams Streams, what string, o verifyOptions) error {
	key, err := publicKey(o.key)
	if err != nil {
		return err
	}
	var found []verify.Finding
	var stored release.Stored
	kind := kindOf(what)
	if kind == aList { // of what is beside it
		what, kind = filepath.Dir(what), aFolder
	}
	switch kind {
	case aFolder:
		if stored, err = release.Folder(what).Load(); err == nil {
			found = verify.Stored(stored, key)
		}
	case aLayout, anArchive:
		if stored, err = loadLayout(ctx, what, kind); err == nil {
			found = verify.Image(stored, key)
		}
	case aReference:
		stored, found, err = published(ctx, what, key, o)
	}
	if err != nil {
		return err
	}
	found = append(found, lockFindings(stored)...)
	if o.rebuild {
		index, err := rebuildOf(ctx, streams, stored)
		if err != nil {
			return err
		}
		found = append(found, verify.Rebuilt(stored, index)...)
		charts, err := repacked(stored)
		if err != nil {
			return err
		}
		found = append(found, verify.Repacked(stored, charts)...)
	}
	return printFindings(streams, found)
}

// lockFindings compares an image that holds a binary of somebody else's with its
// lock, where the sources that have it are at hand.
func lockFindings(stored release.Stored) []verify.Finding {
	sources, err := findSources()
	if err != nil {
		return nil
	}
	recipe, err := image.LoadRecipe(sources, stored.Result.Image.Name, stored.Result.Version, "")
	if err != nil || recipe.Download == nil {
		return nil
	}
	lock, err := upstream.Load(sources, recipe)
	if err != nil {
		return []verify.Finding{{Object: "image " + recipe.Name, Aspect: "lock", Err: err}}
	}
	pinned := map[string]release.Content{}
	for _, f := range lock.Files {
		pinned[f.Platform] = release.Content{Digest: "sha256:" + f.SHA256, Size: f.Size}
	}
	return verify.Locked(stored, recipe.Download.Path, pinned)
}

// What an argument names.
type kind int

const (
	aFolder kind = iota
	aList
	aLayout
	anArchive
	aReference
)

// kindOf prefers what is there: a reference is what no path is.
func kindOf(what string) kind {
	stat, err := os.Stat(what)
	registry, _, isPath := strings.Cut(what, "/")
	switch {
	case err == nil && stat.Mode().IsRegular() && filepath.Base(what) == release.ResultFile:
		return aList
	case err == nil && stat.Mode().IsRegular():
		return anArchive
	case err == nil && release.IsLayout(what):
		return aLayout
	case err == nil || !isPath || strings.Trim(registry, ".") == "":
		return aFolder
	case registry == "localhost" || strings.ContainsAny(registry, ".:"):
		return aReference
	}
	return aFolder
}

func loadLayout(ctx context.Context, path string, kind kind) (release.Stored, error) {
	open := release.OpenArchive
	if kind == aLayout {
		open = release.OpenLayout
	}
	layout, err := open(path)
	if err != nil {
		return release.Stored{}, err
	}
	top, err := layout.Image()
	if err != nil {
		return release.Stored{}, err
	}
	return release.LoadImage(ctx, layout, top)
}

// published looks at an image or a chart in a registry.
func published(ctx context.Context, what string, key *signature.PublicKey, o verifyOptions) (release.Stored, []verify.Finding, error) {
	var stored release.Stored
	var named []name.Option
	if o.plainHTTP {
		named = append(named, name.Insecure)
	}
	ref, err := name.ParseReference(what, named...)
	if err != nil {
		hint := "as in registry.example.com/platform/jobmesh-wrap:0.1.0"
		if _, rest, schemed := strings.Cut(what, "://"); schemed {
			hint = "without the scheme: " + rest
		}
		return stored, nil, fault.New(fault.Usage, fmt.Errorf("%q is not a reference", what), hint)
	}
	repo := registry.New(o.plainHTTP).Repository(ref.Context())
	top, err := repo.Resolve(ctx, ref)
	if err != nil {
		return stored, nil, err
	}
	if top.MediaType.IsIndex() {
		stored, err = release.LoadImage(ctx, repo, top)
		return stored, verify.Image(stored, key), err
	}
	if o.rebuild {
		return stored, nil, fault.New(fault.Usage, fmt.Errorf("%s is a chart, and images are what is rebuilt", what), "jobmesh verify --rebuild with the reference of the image")
	}
	c, err := publishedChart(ctx, repo, top, ref)
	return stored, verify.Chart(c, key), err
}

func publishedChart(ctx context.Context, repo registry.Repository, top v1.Descriptor, ref name.Reference) (verify.PublishedChart, error) {
	c := verify.PublishedChart{Subject: verify.Subject{Name: "chart", Digest: top.Digest.String()}}
	manifest, err := release.Read(ctx, repo, top)
	if err != nil {
		return c, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest.Bytes, &m); err != nil || m.Config.MediaType != publish.HelmConfig || len(m.Layers) == 0 {
		return c, fault.New(fault.Usage, fmt.Errorf("%s is neither a multi-arch image nor a chart", ref.Name()), "jobmesh publish prints the references of what it pushed")
	}
	archive, err := release.Read(ctx, repo, m.Layers[0])
	if err != nil {
		return c, err
	}
	c.Archive = archive.Bytes
	c.Attachments, err = release.LoadAttachments(ctx, repo, top.Digest)
	return c, err
}

// told is how many findings one error tells; the lines on stdout have them all.
const told = 6

// printFindings prints the findings, and returns those that are not as they should be as
// one error.
func printFindings(streams Streams, found []verify.Finding) error {
	var wrong []string
	for _, f := range found {
		result := "ok"
		switch {
		case f.Err != nil:
			result = f.Err.Error()
			wrong = append(wrong, fmt.Sprintf("%s: %s %s", f.Object, f.Aspect, result))
		case f.Note != "":
			result = f.Note
		}
		if _, err := fmt.Fprintf(streams.Out, "%s: %s: %s\n", f.Object, f.Aspect, result); err != nil {
			return err
		}
	}
	if more := len(wrong) - told; more > 1 {
		wrong = append(wrong[:told], fmt.Sprintf("and %d more", more))
	}
	if len(wrong) > 0 {
		return fault.New(fault.Verification, errors.New(strings.Join(wrong, "; ")))
	}
	return nil
}

// rebuildOf builds the image of a release again from the sources here.
func rebuildOf(ctx context.Context, streams Streams, stored release.Stored) (*image.Index, error) {
	result := stored.Result
	created, err := verify.Created(stored)
	if err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	sources, err := findSources()
	if err != nil {
		return nil, err
	}
	version, err := chart.Version(chartFolder(sources))
	if err != nil {
		return nil, err
	}
	if version != result.Version {
		return nil, fault.New(fault.Verification, fmt.Errorf("sources are of version %s, the release of %s", version, result.Version),
			"git checkout v"+result.Version)
	}
	var names []string
	for _, p := range result.Image.Platforms {
		names = append(names, p.Platform)
	}
	recipe, platforms, err := plan(sources, result.Image.Name, version, names)
	if err != nil {
		return nil, err
	}
	recipe.Created = created
	if len(stored.Children) > 0 {
		recipe.Compression = image.CompressionOf(stored.Children[0].Layer.Descriptor.MediaType)
	}
	index, _, err := compile(ctx, streams, sources, recipe, platforms, compileOptions{detail: func(string) {}})
	return index, err
}
