package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

// checkPinned finds out before any work whether the binaries of others that an
// image needs are pinned.
func checkPinned(sources string, recipe image.Recipe, platforms []image.Platform) error {
	if recipe.Download == nil {
		return nil
	}
	for _, p := range platforms {
		if !slices.Contains(recipe.Platforms, p.Name) {
			return fault.New(fault.Usage, fmt.Errorf("image %s is not for %s: its platforms are %s", recipe.Name, p.Name, strings.Join(recipe.Platforms, ", ")))
		}
	}
	_, err := upstream.Load(sources, recipe)
	return err
}

// A beside is what an image has beside its program.
type beside struct {
	// recipe and platforms are without the platforms for which there is nothing.
	recipe    image.Recipe
	platforms []image.Platform
	files     map[string]image.File
}

// join puts the files beside the programs.
func (b beside) join(binaries []image.Binary) []image.Binary {
	for i := range binaries {
		if f, ok := b.files[binaries[i].Platform.Name]; ok {
			binaries[i].Files = []image.File{f}
		}
	}
	return binaries
}

// fetchPinned gets the binaries of others for an image; for one that has none, there
// is nothing to do.
func fetchPinned(ctx context.Context, streams Streams, sources string, recipe image.Recipe, platforms []image.Platform, offline bool) (beside, error) {
	b := beside{recipe: recipe, platforms: platforms}
	if recipe.Download == nil {
		return b, nil
	}
	lock, err := upstream.Load(sources, recipe)
	if err != nil {
		return b, err
	}
	show, wipe := fetching(streams, recipe)
	b.files, err = lock.Fetch(ctx, recipe, platforms, upstream.Fetcher(*recipe.Download, offline, note(streams)), show)
	wipe()
	b.recipe.Missing = lock.Missing
	b.platforms = slices.DeleteFunc(slices.Clone(platforms), func(p image.Platform) bool { return slices.Contains(lock.Missing, p.Name) })
	if err == nil && len(b.platforms) == 0 {
		err = fault.New(fault.Usage, fmt.Errorf("image %s: upstream has no %s for %s", recipe.Name, recipe.Download.Name, strings.Join(lock.Missing, ", ")))
	}
	return b, err
}

// fetching shows on a terminal which platform is being fetched, on one line that
// wipe removes.
func fetching(streams Streams, recipe image.Recipe) (show func(platform string), wipe func()) {
	if !streams.Terminal {
		return func(string) {}, func() {}
	}
	return func(platform string) {
			_, _ = fmt.Fprintf(streams.Err, "\r\x1b[Kfetching %s %s for %s", recipe.Download.Name, recipe.Download.Version, platform) // only progress
		}, func() {
			_, _ = fmt.Fprint(streams.Err, "\r\x1b[K") // the progress line
		}
}

// note writes what is worth knowing and no failure.
func note(streams Streams) func(string) {
	return func(text string) { _, _ = fmt.Fprintln(streams.Err, "note: "+text) } // a courtesy
}
