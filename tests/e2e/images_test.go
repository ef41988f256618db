package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

// testImages are the images made for the tests.
type testImages struct {
	pause     name.Tag // holds a pod's namespaces open, in a cluster of our own
	proxy     name.Tag // stands in for the meshes' proxies
	envoy     name.Tag // a real Envoy
	pgbouncer name.Tag // a real PgBouncer
	cloudSQL  name.Tag // a real cloud-sql-proxy
	// cloudSQLShell is a real cloud-sql-proxy in an image with a shell, which its makers also publish
	cloudSQLShell name.Tag
	alloyDB       name.Tag // a real alloydb-auth-proxy
	shell         name.Tag // what the Jobs run
	await         name.Tag // a shell, with the wrapper where linkerd-await would be
	carrier       name.Tag // a shell, with the wrapper in it
	task          name.Tag // starts taskConfig
}

// pushImages compiles the programs into dir, makes images of them and of Envoy, and pushes these and the wrapper's
// image in dist to the registry.
func pushImages(ctx context.Context, given settings.Settings, dir string) (testImages, error) {
	var pushed testImages
	for _, s := range []struct {
		name string
		make func() (v1.Image, error)
		to   *name.Tag
	}{
		{"pause", ofProgram(ctx, "pause", dir), &pushed.pause},
		{"proxy", ofProgram(ctx, "proxy", dir), &pushed.proxy},
		{"envoy", ofEnvoy(ctx), &pushed.envoy},
		{"pgbouncer", ofPgBouncer, &pushed.pgbouncer},
		{"cloud-sql", ofHelper(ctx, programs.CloudSQLProxy), &pushed.cloudSQL},
		{"cloud-sql-shell", ofHelperWithShell(ctx, programs.CloudSQLProxy), &pushed.cloudSQLShell},
		{"alloydb", ofHelper(ctx, programs.AlloyDBAuthProxy), &pushed.alloyDB},
		{"shell", ofShell, &pushed.shell},
		{"await", ofWrapper(given.Dist, "linkerd-await"), &pushed.await},
		{"carrier", ofWrapper(given.Dist, "jobmesh-wrap"), &pushed.carrier},
		{"task", ofTask, &pushed.task},
	} {
		made, err := s.make()
		if err != nil {
			return testImages{}, fmt.Errorf("image %s: %w", s.name, err)
		}
		if *s.to, err = image.Push(given.Registry+"/jobmesh-e2e/"+s.name, made); err != nil {
			return testImages{}, fmt.Errorf("image %s: %w", s.name, err)
		}
	}
	return pushed, nil
}

func ofShell() (v1.Image, error) { return image.OfShell(programs.Busybox) }

// envoyBootstrap is the path of the configuration in Envoy's image.
const envoyBootstrap = "etc/envoy.yaml"

// ofEnvoy makes an image of the Envoy program in the cache.
func ofEnvoy(ctx context.Context) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		program, err := envoy.Provide(ctx, os.Stderr)
		if err != nil {
			return nil, err
		}
		return image.OfDynamicProgram(program, envoy.Program, map[string]string{envoyBootstrap: envoy.Bootstrap})
	}
}

// ofPgBouncer makes an image of Debian's PgBouncer.
func ofPgBouncer() (v1.Image, error) {
	return image.OfDynamicProgram(programs.PgBouncer, "pgbouncer", map[string]string{pgbouncerConfigFile: pgbouncerConfig})
}

// ofHelper makes an image of a program in the cache, with the program as its entrypoint.
func ofHelper(ctx context.Context, name string) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		program, err := helper(ctx, name)
		if err != nil {
			return nil, err
		}
		return image.OfProgram(program, name)
	}
}

// ofHelperWithShell puts the program into an image with a shell, as /name.
func ofHelperWithShell(ctx context.Context, name string) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		program, err := helper(ctx, name)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(program)
		if err != nil {
			return nil, err
		}
		shell, err := ofShell()
		if err != nil {
			return nil, err
		}
		return image.WithProgram(shell, name, content)
	}
}

// helper returns the file of a program in the cache.
func helper(ctx context.Context, name string) (string, error) {
	built, err := programs.ProvideHelpers(ctx, "helpers", os.Stderr)
	if err != nil {
		return "", err
	}
	return built.Find(name)
}

// taskConfig is the ENTRYPOINT and CMD of an image: a command that needs Linkerd's proxy. It has a dollar sign, which
// the kubelet would interpret in a manifest.
var taskConfig = v1.Config{
	Env:        []string{"PATH=/bin"},
	Entrypoint: []string{"sh", "-ec"},
	Cmd:        []string{needsProxy("linkerd") + "; test $$ -ge 1; echo worked"},
}

func ofTask() (v1.Image, error) {
	shell, err := ofShell()
	if err != nil {
		return nil, err
	}
	return mutate.Config(shell, taskConfig)
}

// ofWrapper makes an image into which its author has copied the wrapper as /name, for example in place of
// linkerd-await.
func ofWrapper(dist, name string) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		wrapper, err := image.FileInLayout(filepath.Join(dist, "oci"), "jobmesh-wrap")
		if err != nil {
			return nil, err
		}
		shell, err := ofShell()
		if err != nil {
			return nil, err
		}
		return image.WithProgram(shell, name, wrapper)
	}
}

// ofProgram makes an image of a program of this module.
func ofProgram(ctx context.Context, name, dir string) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		file := filepath.Join(dir, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		if output, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, output)
		}
		return image.OfProgram(file, name)
	}
}
