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

// Options say how a compilation reports its progress, and whether it may use the network.
type Options struct {
	// Offline has third-party binaries taken from the cache only.
	Offline bool
	// Note gets messages that are not failures. Detail gets those that only some users want.
	Note, Detail func(string)
	// Fetching is called before a download with the platform that it is for, and with "" after
	// the last one.
	Fetching func(d image.Download, platform string)
	// Compiling is called with the number of platforms. It returns a function that is called
	// with each platform when it is done, possibly at the same time.
	Compiling func(total int) func(image.Platform)
}

// compile builds the image, and returns it with the compiler that was used.
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

// A beside is what an image contains beside its own program.
type beside struct {
	// recipe and platforms leave out the platforms for which there is no such file.
	recipe    image.Recipe
	platforms []image.Platform
	files     map[string]image.File
}

// join adds the files to the programs.
func (b beside) join(binaries []image.Binary) []image.Binary {
	for i := range binaries {
		if f, ok := b.files[binaries[i].Platform.Name]; ok {
			binaries[i].Files = []image.File{f}
		}
	}
	return binaries
}

// fetch gets the third-party binaries of an image. It does nothing for an image without one.
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
