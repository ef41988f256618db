package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

// A Kind says what an argument of verify names.
type Kind int

// The kinds of arguments.
const (
	// Folder is a folder that build has written.
	Folder Kind = iota
	// List is the result.json of such a folder.
	List
	// Layout is the folder of an OCI layout.
	Layout
	// Archive is an OCI layout in one file.
	Archive
	// Reference is an image or a chart in a registry.
	Reference
)

// KindOf looks at the file system first. An argument is a reference only where no file or
// folder has that name, and where it begins with the name of a registry.
func KindOf(what string) Kind {
	stat, err := os.Stat(what)
	registry, _, isPath := strings.Cut(what, "/")
	switch {
	case err == nil && stat.Mode().IsRegular() && filepath.Base(what) == release.ResultFile:
		return List
	case err == nil && stat.Mode().IsRegular():
		return Archive
	case err == nil && release.IsLayout(what):
		return Layout
	case err == nil || !isPath || strings.Trim(registry, ".") == "":
		return Folder
	case registry == "localhost" || strings.ContainsAny(registry, ".:"):
		return Reference
	}
	return Folder
}

// A Look holds what was found of a release, or of a part of one.
type Look struct {
	// Name, Version and Digest are those of the image or the chart.
	Name, Version, Digest string
	// Signed says that the key has signed it.
	Signed bool
	// Stored is the release, without its index for a chart in a registry.
	Stored   release.Stored
	Findings []Finding
}

// IsImage reports whether a whole image was found, so that it can be built again and
// compared.
func (l Look) IsImage() bool { return len(l.Stored.Children) > 0 }

// IsChart reports whether this is a chart in a registry.
func (l Look) IsChart() bool { return len(l.Stored.Index.Bytes) == 0 }

// Err joins what is wrong in the findings, and is nil where nothing is wrong. Where something
// could not be read it says only that, because what seems to be missing may be in there.
func (l Look) Err() error {
	var wrong []string
	for _, f := range l.Findings {
		if f.Err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %s %s", f.Object, f.Aspect, f.Err))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	if l.Stored.Unread != nil {
		return l.Stored.Unread
	}
	if more := len(wrong) - told; more > 1 {
		wrong = append(wrong[:told], fmt.Sprintf("and %d more", more))
	}
	return fault.New(fault.Verification, errors.New(strings.Join(wrong, "; ")))
}

// told is how many findings one error lists. A single one more is listed too, and not counted.
const told = 6

// memoryLimit bounds, in bytes, the memory that the Go runtime may take before it collects
// layers that are no longer needed. One layer and what it unpacks to fit into it.
const memoryLimit = 150 << 20

// At checks a folder, a file or a reference, within a bounded time. It uses the client for
// references only.
func At(ctx context.Context, what string, w Wanted, client *registry.Client) (look Look, err error) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	err = release.Bounded(ctx, func(ctx context.Context) (err error) {
		look, err = at(ctx, what, w, client)
		return err
	})
	look.Signed = w.Key != nil && !slices.ContainsFunc(look.Findings, func(f Finding) bool { return f.Aspect == "signature" && f.Err != nil })
	return look, err
}

func at(ctx context.Context, what string, w Wanted, client *registry.Client) (Look, error) {
	switch kind := KindOf(what); kind {
	case List, Folder:
		if kind == List { // of what is beside it
			what = filepath.Dir(what)
		}
		stored, err := release.Folder(what).Look()
		if err != nil {
			return Look{}, err
		}
		return seen(stored, Release(stored, w)), nil
	case Layout:
		layout, err := release.OpenLayout(what)
		if err != nil {
			return Look{}, err
		}
		return inLayout(ctx, layout, w)
	case Archive:
		layout, err := release.OpenArchive(what)
		if err != nil {
			return Look{}, err
		}
		return inLayout(ctx, layout, w)
	}
	return published(ctx, what, w, client)
}

// seen returns a Look for an image.
func seen(s release.Stored, found []Finding) Look {
	return Look{Name: s.Result.Image.Name, Version: s.Result.Version, Digest: s.Result.Image.Digest, Stored: s, Findings: found}
}

// inLayout checks the one image of a layout.
func inLayout(ctx context.Context, layout *release.Layout, w Wanted) (Look, error) {
	top, err := layout.Image()
	if err != nil {
		return Look{}, err
	}
	return imageIn(ctx, layout, top, w)
}

// imageIn checks an image from the outside in. Where there is a key, nothing that the index
// leads to is read before it is sure that the key has signed the index.
func imageIn(ctx context.Context, p release.Place, top v1.Descriptor, w Wanted) (Look, error) {
	r, err := release.Begin(ctx, p, top)
	if err != nil {
		return Look{}, err
	}
	if w.Tag == "" {
		w.Tag = r.Named.Tag
	}
	if w.Name == "" && r.Named.Repository != "" {
		w.Name = path.Base(r.Named.Repository)
	}
	if found := Unsigned(r.Stored, w); found != nil {
		return seen(r.Stored, found), nil
	}
	if err := r.Finish(ctx); err != nil {
		return Look{}, err
	}
	return seen(r.Stored, Image(r.Stored, w)), nil
}

// published checks an image or a chart in a registry.
func published(ctx context.Context, what string, w Wanted, client *registry.Client) (Look, error) {
	var named []name.Option
	if client.PlainHTTP {
		named = append(named, name.Insecure)
	}
	ref, err := name.ParseReference(what, named...)
	if err != nil {
		hint := "as in registry.example.com/platform/jobmesh-wrap:1.2.3"
		if _, rest, schemed := strings.Cut(what, "://"); schemed {
			hint = "without the scheme: " + rest
		}
		return Look{}, fault.New(fault.Usage, fmt.Errorf("%q is not a reference", what), hint)
	}
	if w.Name == "" {
		w.Name = path.Base(ref.Context().RepositoryStr())
	}
	w.Tag = tagIn(what)
	repo := client.Repository(ref.Context())
	top, err := repo.Resolve(ctx, ref)
	if err != nil {
		return Look{}, err
	}
	if top.MediaType.IsIndex() {
		return imageIn(ctx, repo, top, w)
	}
	artifact, err := release.LoadArtifact(ctx, repo, top)
	if err != nil {
		return Look{}, err
	}
	switch {
	case artifact.Manifest.Config.MediaType == chart.ConfigType && artifact.Layer.Descriptor.MediaType != chart.ArchiveType:
		return Look{}, fault.New(fault.Verification, fmt.Errorf("%s is a chart, and does not have one archive alone", ref.Name()))
	case artifact.Manifest.Config.MediaType != chart.ConfigType:
		hint := "jobmesh publish prints the references of what it pushed"
		if strings.HasSuffix(ref.Context().RepositoryStr(), "/"+plugin.Name) {
			hint = "Helm verifies its plugin itself: helm plugin install --keyring jobmesh.gpg"
		}
		return Look{}, fault.New(fault.Usage, fmt.Errorf("%s is neither a multi-arch image nor a chart", ref.Name()), hint)
	}
	return chartIn(artifact, top, w), nil
}

// tagIn returns the tag of a reference, or "" where it has none. A reference with a digest
// may have a tag as well, which the client ignores.
func tagIn(reference string) string {
	reference, _, _ = strings.Cut(reference, "@")
	_, tag, _ := strings.Cut(path.Base(reference), ":")
	return tag
}

// Pinned compares an image that holds a binary of another project with the lock file that
// the sources have for it. It finds nothing for an image without such a binary, and for one
// that the sources do not know.
func Pinned(s release.Stored, sources string) []Finding {
	recipe, err := image.LoadRecipe(sources, s.Result.Image.Name, s.Result.Version, "")
	if err != nil || recipe.Download == nil {
		return nil
	}
	lock, err := upstream.Load(sources, recipe)
	if err != nil {
		return []Finding{{Object: "image " + recipe.Name, Aspect: "lock", Err: err}}
	}
	pinned := map[string]release.Content{}
	for _, f := range lock.Files {
		pinned[f.Platform] = release.Content{Digest: "sha256:" + f.SHA256, Size: f.Size}
	}
	return Locked(s, recipe.Download.Path, pinned)
}
