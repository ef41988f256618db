package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

// Options are how a compile is watched, and whether it may use the network.
type Options struct {
	// Offline takes pinned binaries of others from the cache only.
	Offline bool
	// Note is told what is worth knowing and no failure, Detail what few want to know.
	Note, Detail func(string)
	// Fetching is called before a download, with the platform it is for, and with ""
	// when all are there.
	Fetching func(d image.Download, platform string)
	// Compiling is called with the number of platforms, and returns what is called
	// with each that is done, several at a time.
	Compiling func(total int) func(image.Platform)
}

// compile makes the image, and returns it with the compiler that was used.
func (s Sources) compile(ctx context.Context, recipe image.Recipe, platforms []image.Platform, o Options) (*image.Index, *image.Compiler, error) {
	beside, err := s.fetch(ctx, recipe, platforms, o)
	if err != nil {
		return nil, nil, err
	}
	recipe, platforms = beside.recipe, beside.platforms
	compiler, err := image.NewCompiler(ctx, string(s))
	if err != nil {
		return nil, nil, err
	}
	o.Detail(fmt.Sprintf("%s is compiled by %s with %s", recipe.Package, compiler.Toolchain, strings.Join(compiler.Environment(), " ")))
	for _, p := range platforms {
		o.Detail(fmt.Sprintf("%s: %s go build %s", p.Name, strings.Join(p.Environment(), " "), strings.Join(recipe.GoFlags(), " ")))
	}
	if len(compiler.Ignored) > 0 {
		o.Detail("settings of Go that are ignored: " + strings.Join(compiler.Ignored, ", "))
	}
	binaries, err := compiler.CompileAll(ctx, recipe, platforms, o.Compiling(len(platforms)))
	if err != nil {
		return nil, nil, err
	}
	index, err := image.Assemble(recipe, beside.join(binaries))
	return index, compiler, err
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

// fetch gets the binaries of others for an image; for one that has none, there is
// nothing to do.
func (s Sources) fetch(ctx context.Context, recipe image.Recipe, platforms []image.Platform, o Options) (beside, error) {
	b := beside{recipe: recipe, platforms: platforms}
	if recipe.Download == nil {
		return b, nil
	}
	lock, err := upstream.Load(string(s), recipe)
	if err != nil {
		return b, err
	}
	show := func(platform string) { o.Fetching(*recipe.Download, platform) }
	b.files, err = lock.Fetch(ctx, recipe, platforms, upstream.Fetcher(*recipe.Download, o.Offline, o.Note), show)
	show("")
	b.recipe.Missing = lock.Missing
	b.platforms = slices.DeleteFunc(slices.Clone(platforms), func(p image.Platform) bool { return slices.Contains(lock.Missing, p.Name) })
	if err == nil && len(b.platforms) == 0 {
		err = fault.New(fault.Usage, fmt.Errorf("image %s: upstream has no %s for %s", recipe.Name, recipe.Download.Name, strings.Join(lock.Missing, ", ")))
	}
	return b, err
}
