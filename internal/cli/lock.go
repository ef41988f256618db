package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

type lockOptions struct {
	check   bool
	offline bool
}

func newLock(streams Streams) *cobra.Command {
	var o lockOptions
	cmd := &cobra.Command{
		Use:   "lock NAME",
		Short: "Pin the third-party binary that an image holds",
		Long: `Lock downloads the release binary that images/NAME/image.yaml names, for each
platform, checks that it is a static program for that platform, and writes its
URL, size and sha256 to images/NAME/image.lock. From then on jobmesh build
accepts only these bytes. Commit the file.

Lock asks only the hosts that image.yaml lists, over HTTPS, redirects included.
Downloads are kept below $XDG_CACHE_HOME/jobmesh or ~/.cache/jobmesh, and are
checked each time they are used.

With --check nothing is written: exit code 3 says that there is no lock, that
the lock does not match image.yaml any more, or that the download has other
bytes now.`,
		Example: `  jobmesh lock linkerd-await
  jobmesh lock --check linkerd-await
  jobmesh lock --check --offline linkerd-await`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Usage, fmt.Errorf("lock needs one argument, the name of an image, and got %d", len(args)),
					"as in jobmesh lock linkerd-await")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return imagesHere(func(r image.Recipe) bool { return r.Download != nil }), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runLock(cmd.Context(), streams, args[0], o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.check, "check", false, "write nothing; exit code 3 if the lock is not up to date")
	flags.BoolVar(&o.offline, "offline", false, "with --check: take the binaries from the cache only")
	return cmd
}

func runLock(ctx context.Context, streams Streams, name string, o lockOptions) error {
	if o.offline && !o.check {
		return fault.New(fault.Usage, errors.New("--offline needs --check: a binary that is not pinned yet is not in the cache"))
	}
	sources, err := build.FindSources()
	if err != nil {
		return err
	}
	version, err := sources.Version()
	if err != nil {
		return err
	}
	recipe, err := image.LoadRecipe(string(sources), name, version, "")
	if err != nil {
		return err
	}
	if recipe.Download == nil {
		return fault.New(fault.Usage, fmt.Errorf("image %s has nothing to lock: there is no download in images/%s/image.yaml", name, name))
	}
	platforms, err := image.SelectPlatforms(recipe.Platforms)
	if err != nil {
		return err
	}
	from := upstream.Fetcher(*recipe.Download, o.offline, note(streams))
	show := func(platform string) { fetching(streams, *recipe.Download, platform) }
	var lock upstream.Lock
	if o.check {
		if lock, err = upstream.Load(string(sources), recipe); err != nil {
			return err
		}
		_, err = lock.Fetch(ctx, recipe, platforms, from, show)
	} else {
		lock, err = upstream.Pin(ctx, recipe, from, show)
	}
	show("")
	if err != nil {
		return err
	}
	if !o.check {
		changed, err := lock.Write(string(sources), name)
		if err != nil {
			return fault.New(fault.LocalIO, err)
		}
		if !changed {
			note(streams)("images/" + name + "/image.lock is up to date")
		}
	}
	return printLock(streams, recipe, lock)
}

// imagesHere returns the wanted images of the sources in this folder, for completion. It
// returns nothing in a folder without sources.
func imagesHere(wanted func(image.Recipe) bool) []string {
	sources, err := build.FindSources()
	if err != nil {
		return nil
	}
	var names []string
	for _, name := range image.RecipeNames(string(sources)) {
		if recipe, err := image.LoadRecipe(string(sources), name, "", ""); err == nil && wanted(recipe) {
			names = append(names, name)
		}
	}
	return names
}

// printLock prints one line for each platform.
func printLock(streams Streams, recipe image.Recipe, lock upstream.Lock) error {
	w := tabwriter.NewWriter(streams.Out, 0, 0, 2, ' ', 0)
	for _, f := range lock.Files {
		if _, err := fmt.Fprintf(w, "%s\t%s\tsha256:%s\t%d\n", f.Platform, lock.Version, f.SHA256, f.Size); err != nil {
			return err
		}
	}
	for _, p := range lock.Missing {
		if _, err := fmt.Fprintf(w, "%s\t%s\tmissing\t\n", p, recipe.Download.Version); err != nil {
			return err
		}
	}
	return w.Flush()
}
