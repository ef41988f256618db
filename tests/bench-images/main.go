// Command bench-images measures jobmesh build and publish beside ko, which makes
// images of Go programs as well: the same program, the same six platforms, the
// same registry in the same run, in turn. Both start from caches of their own.
//
// Wall time is what somebody waits for, CPU time what a busy machine does not
// blur, memory the largest process. Compare the columns, not machines.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cold := flag.Bool("cold", true, "start from empty build caches; otherwise from that of this user, and without the first row")
	rounds := flag.Int("rounds", 5, "how often what takes a second is measured; the median counts")
	flag.Parse()
	if err := run(ctx, *cold, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench-images:", err)
		os.Exit(1)
	}
}

// A cost is what a run took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // KiB, of the largest process
}

func (c cost) plus(d cost) cost { return cost{c.wall + d.wall, c.cpu + d.cpu, max(c.peak, d.peak)} }

// A tool does one thing, each time with all that it needs before it.
type tool struct {
	dir string // the sources
	env []string
}

func (t tool) run(ctx context.Context, program string, arguments ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir, cmd.Env = t.dir, t.env
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(start)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss}, nil
}

func run(ctx context.Context, cold bool, rounds int) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	jobmesh, ko := filepath.Join(root, "bin", "jobmesh"), filepath.Join(root, "bin", "ko")
	dir, err := os.MkdirTemp("", "jobmesh-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	recipe, err := image.LoadRecipe(root, "jobmesh-wrap", "bench", "")
	if err != nil {
		return err
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	if err := pushEmptyBase(host+"/base:1", recipe.Platforms); err != nil {
		return err
	}

	ours, theirs, err := prepare(root, dir, host, cold)
	if err != nil {
		return err
	}
	platforms := "--platform=" + strings.Join(recipe.Platforms, ",")
	build := func(ctx context.Context) (cost, error) {
		return ours.run(ctx, jobmesh, "build", "--output", filepath.Join(dir, "dist"))
	}
	koBuild := func(ctx context.Context) (cost, error) {
		layout := filepath.Join(dir, "layout") // anew: ko appends to one that is there
		if err := os.RemoveAll(layout); err != nil {
			return cost{}, err
		}
		return theirs.run(ctx, ko, "build", "./cmd/jobmesh-wrap", platforms, "--push=false", "--oci-layout-path", layout)
	}
	push := func(where string) func(context.Context) (cost, error) {
		return func(ctx context.Context) (cost, error) {
			first, err := build(ctx)
			if err != nil {
				return cost{}, err
			}
			second, err := ours.run(ctx, jobmesh, "publish", host+"/"+where, "--from", filepath.Join(dir, "dist"))
			return first.plus(second), err
		}
	}
	koPush := func(where string) func(context.Context) (cost, error) {
		return func(ctx context.Context) (cost, error) {
			t := theirs
			t.env = append(slices.Clone(t.env), "KO_DOCKER_REPO="+host+"/"+where)
			return t.run(ctx, ko, "build", "./cmd/jobmesh-wrap", platforms)
		}
	}
	var n int
	fresh := func(of func(string) func(context.Context) (cost, error)) func(context.Context) (cost, error) {
		return func(ctx context.Context) (cost, error) {
			n++
			return of(fmt.Sprintf("fresh-%d", n))(ctx)
		}
	}
	changed := func(t tool, then func(context.Context) (cost, error)) func(context.Context) (cost, error) {
		return func(ctx context.Context) (cost, error) {
			n++
			text := fmt.Sprintf("package main\n\nfunc init() { changed = %d }\n\nvar changed int\n", n)
			if err := os.WriteFile(filepath.Join(t.dir, "cmd/jobmesh-wrap/changed.go"), []byte(text), 0o600); err != nil {
				return cost{}, err
			}
			return then(ctx)
		}
	}

	fmt.Printf("\nImage of %d platforms, beside ko\n", len(recipe.Platforms))
	const line = "%-24s %9s %9s %6s %9s %9s %6s %8s %8s\n"
	fmt.Printf(line, "", "wall", "ko", "ratio", "CPU", "ko", "ratio", "memory", "ko")
	for _, row := range []struct {
		name       string
		rounds     int
		ours, them func(context.Context) (cost, error)
	}{
		{"build, empty caches", 1, build, koBuild},
		{"build, one line changed", rounds, changed(ours, build), changed(theirs, koBuild)},
		{"build, nothing changed", rounds, build, koBuild},
		{"build and first push", rounds, fresh(push), fresh(koPush)},
		{"build and push again", rounds, push("again"), koPush("again")},
	} {
		if row.rounds == 1 && !cold {
			continue
		}
		a, b, err := inTurn(ctx, row.rounds, row.ours, row.them)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
		ratio := func(a, b time.Duration) string { return fmt.Sprintf("%.2f", a.Seconds()/b.Seconds()) }
		fmt.Printf(line, row.name, seconds(a.wall), seconds(b.wall), ratio(a.wall, b.wall),
			seconds(a.cpu), seconds(b.cpu), ratio(a.cpu, b.cpu), fmt.Sprint(a.peak>>10, " MB"), fmt.Sprint(b.peak>>10, " MB"))
	}
	return nil
}

// inTurn measures two things one after the other, so that a busy moment hits both,
// and returns the medians. Of things that are measured more than once the first
// round does not count.
func inTurn(ctx context.Context, rounds int, ours, them func(context.Context) (cost, error)) (a, b cost, err error) {
	var as, bs []cost
	warmUp := min(1, rounds-1)
	for i := range rounds + warmUp {
		a, err := ours(ctx)
		if err != nil {
			return a, b, err
		}
		b, err := them(ctx)
		if err != nil {
			return a, b, err
		}
		if i >= warmUp {
			as, bs = append(as, a), append(bs, b)
		}
	}
	return median(as), median(bs), nil
}

func median(costs []cost) cost {
	by := func(key func(cost) int64) int64 {
		return key(slices.SortedFunc(slices.Values(costs), func(a, b cost) int { return cmp.Compare(key(a), key(b)) })[len(costs)/2])
	}
	return cost{
		wall: time.Duration(by(func(c cost) int64 { return int64(c.wall) })),
		cpu:  time.Duration(by(func(c cost) int64 { return int64(c.cpu) })),
		peak: by(func(c cost) int64 { return c.peak }),
	}
}

// prepare gives each of the two a copy of the sources and an empty build cache.
func prepare(root, dir, host string, cold bool) (ours, theirs tool, err error) {
	for _, t := range []struct {
		*tool
		name string
	}{{&ours, "jobmesh"}, {&theirs, "ko"}} {
		t.dir = filepath.Join(dir, t.name)
		for _, name := range []string{"cmd", "internal", "images", "library-chart", "charts/cronjobs", "charts/alerts", "charts/policy"} {
			err = errors.Join(err, os.CopyFS(filepath.Join(t.dir, name), os.DirFS(filepath.Join(root, name))))
		}
		for _, name := range []string{"go.mod", "go.sum", "embed.go", "VERSION", "image.digest"} {
			text, readErr := os.ReadFile(filepath.Join(root, name))
			err = errors.Join(err, readErr, os.WriteFile(filepath.Join(t.dir, name), text, 0o600))
		}
		t.env = append(os.Environ(), "GOFLAGS=", "KO_DOCKER_REPO="+host+"/none")
		if cold {
			t.env = append(t.env, "GOCACHE="+filepath.Join(dir, t.name+"-cache"))
		}
	}
	// The program as jobmesh builds it.
	config := fmt.Sprintf("defaultBaseImage: %s/base:1\nbuilds:\n- id: wrap\n  main: ./cmd/jobmesh-wrap\n  ldflags: [-s, -w, -buildid=, -X main.version=bench]\n", host)
	return ours, theirs, errors.Join(err, os.WriteFile(filepath.Join(theirs.dir, ".ko.yaml"), []byte(config), 0o600))
}

// pushEmptyBase pushes what ko needs and jobmesh does not: a base image, here one
// with nothing in it.
func pushEmptyBase(reference string, platforms []string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	base := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return err
		}
		config := &v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, RootFS: v1.RootFS{Type: "layers"}}
		img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
		if err != nil {
			return err
		}
		base = mutate.AppendManifests(base, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return remote.WriteIndex(tag, base)
}
