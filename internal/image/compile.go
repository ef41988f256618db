package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A Binary is a compiled program.
type Binary struct {
	Platform Platform
	Bytes    []byte
	// Files are the other files in the image.
	Files []File
}

// A File is one more file in an image. Every user may execute it.
type File struct {
	Path  string
	Bytes []byte
	// URL, Version and License say where the file comes from.
	URL, Version, License string
}

// A Compiler compiles programs of this repository, with an environment that does not depend on
// the caller.
type Compiler struct {
	// sources is the root of the repository.
	sources string
	// Toolchain is the release of Go that compiles, as go.mod pins it.
	Toolchain string
	// Ignored are the names of those settings of Go in the caller's environment that do not
	// affect the compilation.
	Ignored []string
	env     []string
}

// NewCompiler asks the installed Go for its cache folders, and for nothing else.
func NewCompiler(ctx context.Context, sources string) (*Compiler, error) {
	text, err := os.ReadFile(filepath.Join(sources, "go.mod"))
	if err != nil {
		return nil, err
	}
	module, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, fault.New(fault.Build, err)
	}
	if module.Toolchain == nil {
		return nil, fault.New(fault.Build, errors.New("go.mod has no toolchain line, so the compiler is not pinned"))
	}
	ask := exec.CommandContext(ctx, "go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOENV")
	ask.Dir = sources
	// The environment is restricted here too, because a setting of the caller that this Go does
	// not know would make it fail.
	ask.Env = append(os.Environ(), "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off", "GOTOOLCHAIN=local")
	out, err := ask.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fault.New(fault.Build, errors.New("go is not in PATH, and images are compiled from source"),
			"install Go "+strings.TrimPrefix(module.Toolchain.Name, "go")+" or newer from https://go.dev/dl")
	}
	if err != nil {
		return nil, fault.New(fault.Build, fmt.Errorf("go env: %w", explain(err, nil)))
	}
	c := &Compiler{sources: sources, Toolchain: module.Toolchain.Name}
	// The compiler gets what it needs from the machine, and no setting that would change its
	// output: GOFLAGS, GOEXPERIMENT, GODEBUG, GOWORK and the like are left out, wherever they
	// were set.
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			c.env = append(c.env, name+"="+value)
		}
	}
	caches := map[string]string{}
	if err := json.Unmarshal(out, &caches); err != nil {
		return nil, fault.New(fault.Build, fmt.Errorf("go env: %w", err))
	}
	settings, _ := os.ReadFile(caches["GOENV"]) // the file may be missing
	delete(caches, "GOENV")
	c.Ignored = ignored(append(os.Environ(), strings.Split(string(settings), "\n")...), caches)
	for name, value := range caches {
		c.env = append(c.env, name+"="+value)
	}
	c.env = append(c.env, c.Environment()...)
	return c, nil
}

// ignored returns, sorted, the names of Go's settings among NAME=VALUE entries that are not
// passed on.
func ignored(entries []string, passed map[string]string) []string {
	var names []string
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		_, isPassed := passed[name]
		if value != "" && !isPassed && (strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO_")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Environment returns the settings of every compilation, whoever runs it.
func (c *Compiler) Environment() []string {
	return []string{
		"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off",
		"GO111MODULE=on", "CGO_ENABLED=0", "GOOS=linux",
		"GOTOOLCHAIN=" + c.Toolchain,
	}
}

// CompileAll compiles the recipe's program for each platform, as many at the same time as there
// are cores, and calls done after each. The first failure stops the others.
func (c *Compiler) CompileAll(ctx context.Context, r Recipe, platforms []Platform, done func(Platform)) ([]Binary, error) {
	binaries := make([]Binary, len(platforms))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range platforms {
		group.Go(func() error {
			bytes, err := c.compile(ctx, r, p)
			if err != nil {
				return err
			}
			binaries[i] = Binary{Platform: p, Bytes: bytes}
			done(p)
			return nil
		})
	}
	return binaries, group.Wait()
}

func (c *Compiler) compile(ctx context.Context, r Recipe, p Platform) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "jobmesh-build-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a file that is left in the temporary folder does no harm
	out := filepath.Join(dir, "program")
	arguments := append([]string{"build"}, r.GoFlags()...)
	build := exec.CommandContext(ctx, "go", append(arguments, "-o", out, r.Package)...)
	build.Dir = c.sources
	stopTogether(build) // the compilers write only into the folder that is removed
	build.WaitDelay = time.Second
	build.Env = append(append([]string{"GOTMPDIR=" + dir}, c.env...), p.env...)
	if output, err := build.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.New(fault.Build, fmt.Errorf("%s for %s: %w", r.Package, p.Name, explain(err, output)))
	}
	return os.ReadFile(out)
}

// explain replaces "exit status 1" by the first line of the Go command's output that is not a
// heading.
func explain(err error, output []byte) error {
	var exit *exec.ExitError
	if output == nil && errors.As(err, &exit) {
		output = exit.Stderr
	}
	for line := range strings.Lines(string(output)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go: downloading ") {
			return errors.New(line)
		}
	}
	return err
}
