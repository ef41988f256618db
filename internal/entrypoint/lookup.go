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

// limit is the time limit of all requests for one image, retries included.
const limit = time.Minute

// These limit what a registry can make jobmesh read. A configuration has a few kB, an index has
// a few dozen entries, and no index was seen that is nested deeper than one in another.
const (
	maxConfig = 8 << 20
	maxImages = 256
	maxDepth  = 4
)

// phase is the word of errors for what is requested.
const phase = "look-up"

// A Lookup asks registries what images run.
type Lookup struct {
	client *registry.Client
	puller *remote.Puller
}

// NewLookup returns a Lookup that uses a client and its credentials.
func NewLookup(client *registry.Client) (*Lookup, error) {
	// A puller keeps what it has learned about a registry, so that it requests only one token
	// for each repository.
	puller, err := remote.NewPuller(client.Options(context.Background())...)
	return &Lookup{client: client, puller: puller}, err
}

// parse parses an image as a pod spec names it.
func (l *Lookup) parse(image string) (name.Reference, error) {
	var options []name.Option
	if l.client.PlainHTTP {
		options = append(options, name.Insecure) // HTTPS is still tried first
	}
	ref, err := name.ParseReference(image, options...)
	if err != nil {
		return nil, fault.New(fault.Usage, errors.New("is not an image reference"))
	}
	return ref, nil
}

// Digest returns the digest that an image has now. It sends no request for an image that is
// named by digest.
func (l *Lookup) Digest(ctx context.Context, image string) (digest string, err error) {
	ref, err := l.parse(image)
	if err != nil {
		return "", err
	}
	if pinned, ok := ref.(name.Digest); ok {
		return pinned.DigestStr(), nil
	}
	err = l.within(ctx, ref, func(ctx context.Context) error {
		// HEAD does not count against a pull limit.
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

// worthGET tells whether GET may say more than HEAD did. An answer to HEAD has no body, and so
// no message of the registry, and some registries answer it without a digest. A request that
// was retried already is not worth it.
func worthGET(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests
	}
	var request *url.Error
	return !errors.As(err, &request)
}

// Image returns what an image runs on every Linux platform that it has. It is an error if
// platforms run different commands, because one manifest serves them all.
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

// within sends requests under the time limit, and explains a failure.
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

// A variant is the command of an image on one platform.
type variant struct {
	platform string
	command  lockfile.Command
}

// runnable refuses anything that is neither an image nor an index: the web page of a proxy, or
// an image format that container runtimes do not support any more.
func runnable(t types.MediaType) error {
	if t.IsIndex() || t.IsImage() {
		return nil
	}
	return input(fmt.Errorf("the registry sent the type %q, which no node can run", t))
}

// variantsOf reads the configuration of an image, or of each image in an index.
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

// indexVariants reads the images in an index. The parameter depth is the number of indexes
// around it.
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

// mayRun distinguishes the images in an index that a node may choose from what is attached to
// them: attestations, which buildkit lists as unknown/unknown, signatures and the like. A
// wrapper only runs on Linux, so the commands of other systems, which always differ, do not
// count.
func mayRun(d v1.Descriptor) bool {
	if p := d.Platform; p != nil && (p.OS != "linux" || p.Architecture == "" || p.Architecture == "unknown") {
		return false
	}
	if d.Annotations["vnd.docker.reference.type"] != "" {
		return false
	}
	// Some writers put the type of the configuration here, for an image.
	return d.ArtifactType == "" || isConfig(types.MediaType(d.ArtifactType))
}

func isConfig(t types.MediaType) bool { return t == types.OCIConfigJSON || t == types.DockerConfigJSON }

// imageVariant reads the configuration of one image. The result ok is false for an artifact
// that is stored like an image, and for an image that is not for Linux.
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

// agree returns the command, which has to be the same on all platforms.
func agree(variants []variant) (lockfile.Command, error) {
	if len(variants) == 0 {
		return lockfile.Command{}, errors.New("has no image for Linux")
	}
	// The variants are grouped by command, in the order of the index.
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

// input is the error for an image that exists and cannot be used.
func input(err error) error { return fault.New(fault.Input, err) }
