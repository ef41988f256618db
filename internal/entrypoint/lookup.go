package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// limit is that of all requests for one image, retries included.
const limit = time.Minute

// Bounds on what a registry may make us read: a configuration is a few kB, an
// index a few dozen entries, and an index in an index the deepest seen.
const (
	maxConfig = 8 << 20
	maxImages = 256
	maxDepth  = 4
)

// phase is the word for what is asked of a registry, in errors.
const phase = "look-up"

// A Lookup asks registries what images run.
type Lookup struct {
	client *registry.Client
	puller *remote.Puller
}

// NewLookup asks through a client, with its credentials.
func NewLookup(client *registry.Client) (*Lookup, error) {
	// A puller keeps what it learned of a registry, so that a token is asked for
	// once a repository.
	puller, err := remote.NewPuller(client.Options(context.Background())...)
	return &Lookup{client: client, puller: puller}, err
}

// parse reads an image as a pod spec names it.
func (l *Lookup) parse(image string) (name.Reference, error) {
	var options []name.Option
	if l.client.PlainHTTP {
		options = append(options, name.Insecure) // HTTPS is tried first all the same
	}
	ref, err := name.ParseReference(image, options...)
	if err != nil {
		return nil, fault.New(fault.Usage, errors.New("is not an image reference"))
	}
	return ref, nil
}

// Digest asks which digest an image has now. An image that is named by digest is
// not asked for.
func (l *Lookup) Digest(ctx context.Context, image string) (digest string, err error) {
	ref, err := l.parse(image)
	if err != nil {
		return "", err
	}
	if pinned, ok := ref.(name.Digest); ok {
		return pinned.DigestStr(), nil
	}
	err = l.within(ctx, ref, func(ctx context.Context) error {
		// HEAD counts against no pull limit.
		got, err := l.puller.Head(ctx, ref)
		if err != nil && worthGET(err) && ctx.Err() == nil {
			var whole *remote.Descriptor
			if whole, err = l.puller.Get(ctx, ref); err == nil {
				got = &whole.Descriptor
			}
		}
		if err != nil {
			return err
		}
		digest = got.Digest.String()
		return runnable(got.MediaType)
	})
	return digest, err
}

// worthGET tells whether GET may say more than HEAD did: an answer to HEAD has no
// body, and thus no words of the registry, and some registries answer it without
// a digest. What was tried several times already is not worth it.
func worthGET(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests
	}
	var request *url.Error
	return !errors.As(err, &request)
}

// Image asks what an image runs, on every Linux platform that it has. Platforms
// that run different commands are an error: one manifest serves them all.
func (l *Lookup) Image(ctx context.Context, image string) (lockfile.Entry, error) {
	entry := lockfile.Entry{Image: image}
	ref, err := l.parse(image)
	if err != nil {
		return entry, err
	}
	var variants []variant
	err = l.within(ctx, ref, func(ctx context.Context) error {
		got, err := l.puller.Get(ctx, ref)
		if err != nil {
			return err
		}
		entry.Digest = got.Digest.String()
		variants, err = variantsOf(got)
		return err
	})
	if err != nil {
		return entry, err
	}
	command, err := agree(variants)
	if err != nil {
		return entry, input(err)
	}
	entry.Command = command
	return entry, nil
}

// within asks under the limit and explains what went wrong.
func (l *Lookup) within(ctx context.Context, ref name.Reference, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := ask(limited)
	switch {
	case err == nil || ctx.Err() != nil:
		return errors.Join(ctx.Err())
	case limited.Err() != nil:
		return fault.New(fault.Registry, fmt.Errorf("%s: no answer within %s", ref.Context().Name(), limit))
	}
	return l.client.Explain(ref.Context(), phase, err)
}

// A variant is what an image runs on one platform.
type variant struct {
	platform string
	command  lockfile.Command
}

// runnable refuses what is neither an image nor an index of some: a page of a
// proxy on the way, or a format that container runtimes have given up.
func runnable(t types.MediaType) error {
	if t.IsIndex() || t.IsImage() {
		return nil
	}
	return input(fmt.Errorf("the registry gave something of type %q, which no node could run", t))
}

// variantsOf reads the configuration of an image, or of each in an index.
func variantsOf(d *remote.Descriptor) ([]variant, error) {
	if err := runnable(d.MediaType); err != nil {
		return nil, err
	}
	if d.MediaType.IsIndex() {
		index, err := d.ImageIndex()
		if err != nil {
			return nil, err
		}
		return indexVariants(index, 1)
	}
	image, err := d.Image()
	if err != nil {
		return nil, err
	}
	v, ok, err := imageVariant(image)
	if err != nil || !ok {
		return nil, err
	}
	return []variant{v}, nil
}

// indexVariants goes through an index. depth is how many indexes it is in.
func indexVariants(index v1.ImageIndex, depth int) ([]variant, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth || len(manifest.Manifests) > maxImages {
		return nil, input(fmt.Errorf("is an index of more than %d images, or %d indexes deep", maxImages, maxDepth))
	}
	var found []variant
	for _, d := range manifest.Manifests {
		switch {
		case !mayRun(d):
		case d.MediaType.IsIndex():
			nested, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			variants, err := indexVariants(nested, depth+1)
			if err != nil {
				return nil, err
			}
			found = append(found, variants...)
		case d.MediaType.IsImage():
			image, err := index.Image(d.Digest)
			if err != nil {
				return nil, err
			}
			v, ok, err := imageVariant(image)
			if err != nil {
				return nil, err
			}
			if ok {
				if d.Platform != nil {
					v.platform = platformName(*d.Platform)
				}
				found = append(found, v)
			}
		}
	}
	return found, nil
}

// mayRun tells what a node may choose from an index apart from what is attached
// to it: attestations, which buildkit lists as unknown/unknown, signatures and
// the like. A wrapper runs on Linux only, so that the commands of other systems,
// which are bound to differ, do not count.
func mayRun(d v1.Descriptor) bool {
	if p := d.Platform; p != nil && (p.OS != "linux" || p.Architecture == "" || p.Architecture == "unknown") {
		return false
	}
	if d.Annotations["vnd.docker.reference.type"] != "" {
		return false
	}
	// Some writers give an image the type of its configuration here.
	return d.ArtifactType == "" || isConfig(types.MediaType(d.ArtifactType))
}

func isConfig(t types.MediaType) bool { return t == types.OCIConfigJSON || t == types.DockerConfigJSON }

// imageVariant reads the configuration of one image; ok is false for what is
// stored like an image and is none, or is not for Linux.
func imageVariant(image v1.Image) (v variant, ok bool, err error) {
	manifest, err := image.Manifest()
	if err != nil {
		return v, false, err
	}
	if !isConfig(manifest.Config.MediaType) {
		return v, false, nil
	}
	if manifest.Config.Size > maxConfig {
		return v, false, input(fmt.Errorf("has a configuration of %d bytes, more than %d", manifest.Config.Size, maxConfig))
	}
	config, err := image.ConfigFile()
	if err != nil {
		return v, false, err
	}
	v = variant{
		platform: platformName(v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}),
		command:  lockfile.Command{Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd},
	}
	return v, config.OS == "linux" && config.Architecture != "", nil
}

func platformName(p v1.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}

// agree returns the one command that all platforms run.
func agree(variants []variant) (lockfile.Command, error) {
	if len(variants) == 0 {
		return lockfile.Command{}, errors.New("has no image for Linux")
	}
	// By command, in the order of the index.
	var groups [][]variant
	for _, v := range variants {
		i := slices.IndexFunc(groups, func(g []variant) bool { return g[0].command.Equal(v.command) })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], v)
	}
	if len(groups) == 1 {
		return variants[0].command, nil
	}
	var said []string
	for _, g := range groups {
		var platforms []string
		for _, v := range g {
			platforms = append(platforms, v.platform)
		}
		verb := " runs "
		if len(platforms) > 1 {
			verb = " run "
		}
		said = append(said, strings.Join(platforms, ", ")+verb+g[0].command.String())
	}
	return lockfile.Command{}, errors.New("the platforms disagree: " + strings.Join(said, "; "))
}

// input is an image that is there and cannot be used.
func input(err error) error { return fault.New(fault.Input, err) }
