package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

// A Kind is what an argument of verify names.
type Kind int

// What an argument names.
const (
	// Folder is one that build wrote.
	Folder Kind = iota
	// List is its result.json.
	List
	// Layout is the folder of an OCI layout.
	Layout
	// Archive is an OCI layout in one file.
	Archive
	// Reference is an image or a chart in a registry.
	Reference
)

// KindOf looks at the file system first: a reference is only what no file or folder is
// called, and what a registry stands in front of.
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

// A Look is what there is to be seen of a release or of a part of it.
type Look struct {
	// Stored is the release, without its index for a chart in a registry.
	Stored   release.Stored
	Findings []Finding
}

// IsImage tells whether an image was looked at, which can be built again.
func (l Look) IsImage() bool { return len(l.Stored.Index.Bytes) > 0 }

// At looks at a folder, a file or a reference. A key is what everything has to be signed
// with, nil where signatures do not matter. The client is asked for references only.
func At(ctx context.Context, what string, key *signature.PublicKey, client *registry.Client) (Look, error) {
	switch kind := KindOf(what); kind {
	case List, Folder:
		if kind == List { // of what is beside it
			what = filepath.Dir(what)
		}
		stored, err := release.Folder(what).Load()
		if err != nil {
			return Look{}, err
		}
		return Look{stored, Release(stored, key)}, nil
	case Layout, Archive:
		stored, err := loadLayout(ctx, what, kind)
		if err != nil {
			return Look{}, err
		}
		return Look{stored, Image(stored, key)}, nil
	}
	return published(ctx, what, key, client)
}

func loadLayout(ctx context.Context, path string, kind Kind) (release.Stored, error) {
	open := release.OpenArchive
	if kind == Layout {
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
func published(ctx context.Context, what string, key *signature.PublicKey, client *registry.Client) (Look, error) {
	var named []name.Option
	if client.PlainHTTP {
		named = append(named, name.Insecure)
	}
	ref, err := name.ParseReference(what, named...)
	if err != nil {
		hint := "as in registry.example.com/platform/jobmesh-wrap:0.1.0"
		if _, rest, schemed := strings.Cut(what, "://"); schemed {
			hint = "without the scheme: " + rest
		}
		return Look{}, fault.New(fault.Usage, fmt.Errorf("%q is not a reference", what), hint)
	}
	repo := client.Repository(ref.Context())
	top, err := repo.Resolve(ctx, ref)
	if err != nil {
		return Look{}, err
	}
	if top.MediaType.IsIndex() {
		stored, err := release.LoadImage(ctx, repo, top)
		if err != nil {
			return Look{}, err
		}
		return Look{stored, Image(stored, key)}, nil
	}
	c, err := publishedChart(ctx, repo, top, ref)
	if err != nil {
		return Look{}, err
	}
	return Look{Findings: Chart(c, key)}, nil
}

func publishedChart(ctx context.Context, repo registry.Repository, top v1.Descriptor, ref name.Reference) (PublishedChart, error) {
	c := PublishedChart{Subject: Subject{Name: "chart", Digest: top.Digest.String()}}
	manifest, err := release.Read(ctx, repo, top)
	if err != nil {
		return c, err
	}
	var m v1.Manifest
	if err := json.Unmarshal(manifest.Bytes, &m); err != nil || m.Config.MediaType != chart.ConfigType || len(m.Layers) == 0 {
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

// Pinned compares an image that holds a binary of somebody else's with the lock that the
// sources have of it. An image that holds none, or that the sources do not know, has no
// findings.
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
