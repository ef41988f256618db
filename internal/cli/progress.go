package cli

import (
	"fmt"
	"sync/atomic"

	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/secret"
)

// note writes what is worth knowing and no failure.
func note(streams Streams) func(string) {
	return func(text string) { streams.say("note: %s", text) }
}

// progress shows one line on a terminal, in the place of the one before it. An empty
// one takes it away. Elsewhere it shows nothing.
func progress(streams Streams, format string, arguments ...any) {
	if !streams.Terminal {
		return
	}
	line := []rune(fmt.Sprintf(format, arguments...))
	// A line that is longer than the terminal could not be taken away again.
	line = line[:min(len(line), streams.columns()-1)]
	_, _ = fmt.Fprint(streams.Err, secret.Clear+string(line)) // only progress
}

// watch shows how far a build is, and keeps its details to itself.
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

// fetching shows for which platform a binary is being fetched, none when all are there.
func fetching(streams Streams, d image.Download, platform string) {
	if platform == "" {
		progress(streams, "")
		return
	}
	progress(streams, "fetching %s %s for %s", d.Name, d.Version, platform)
}
