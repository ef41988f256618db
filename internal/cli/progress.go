package cli

import (
	"fmt"
	"sync/atomic"

	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/secret"
)

// note returns a function that prints a message that is not a failure.
func note(streams Streams) func(string) {
	return func(text string) { streams.say("note: %s", text) }
}

// progress shows one line on a terminal, and replaces the one before. An empty line removes it.
// Where there is no terminal, it shows nothing.
func progress(streams Streams, format string, arguments ...any) {
	if !streams.Terminal {
		return
	}
	line := []rune(fmt.Sprintf(format, arguments...))
	// A line that is longer than the terminal is wide could not be removed again.
	line = line[:min(len(line), streams.columns()-1)]
	_, _ = fmt.Fprint(streams.Err, secret.Clear+string(line)) // only progress
}

// watch shows the progress of a build, without its details.
func watch(streams Streams) build.Options {
	return build.Options{
		Note:     note(streams),
		Detail:   func(string) {},
		Fetching: func(d image.Download, platform string) { fetching(streams, d, platform) },
		Compiling: func(total int) func(image.Platform) {
			var done atomic.Int32
			show := func(n int32, last string) {
				if int(n) == total {
					progress(streams, "")
					return
				}
				progress(streams, "compiling %d/%d %s", n, total, last)
			}
			show(0, "")
			return func(p image.Platform) { show(done.Add(1), p.Name) }
		},
	}
}

// fetching shows for which platform a binary is being fetched; an empty platform means that all
// are there.
func fetching(streams Streams, d image.Download, platform string) {
	if platform == "" {
		progress(streams, "")
		return
	}
	progress(streams, "fetching %s %s for %s", d.Name, d.Version, platform)
}
