// Package programs provides the programs of the test cluster, and proxies that run in it. They are compiled from Go modules that pin them, once:
// the results are kept in the user's cache, under a key made of everything that goes into them, so that a change of
// version never meets a stale program.
package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

// source is one project whose programs are built together: those tools of a go.mod that come from the project's module.
type source struct {
	name            string
	dir             string // holds the go.mod that pins the programs by its tool directives
	module          string // whose version is the programs' version
	versionVariable string // what the linker sets to the version, if anything
	tags            string
	ldflags         string
	cgo             string
	rename          map[string]string // programs whose package has another name
}

// sources are small before large, so that a broken toolchain shows early.
var sources = []source{
	{
		name:    "runc",
		dir:     "node",
		module:  "github.com/opencontainers/runc",
		tags:    "seccomp,netgo,osusergo",
		ldflags: "-extldflags=-static", // a cached program must not depend on a library that may be gone
		cgo:     "1",                   // runc enters namespaces in C, before the Go runtime has threads
	},
	{
		name:   "etcd",
		dir:    "node",
		module: "go.etcd.io/etcd/server/v3",
		cgo:    "0",
		rename: map[string]string{"server": "etcd"},
	},
	{
		name:            "containerd",
		dir:             "node",
		module:          "github.com/containerd/containerd/v2",
		versionVariable: "github.com/containerd/containerd/v2/version.Version",
		tags:            "no_btrfs,no_devmapper,no_zfs",
		cgo:             "0",
	},
	{
		name:            "kubernetes",
		dir:             "kubernetes",
		module:          "k8s.io/kubernetes",
		versionVariable: "k8s.io/component-base/version.gitVersion", // unset, the API server reports no usable version
		cgo:             "0",
	},
}

// helpers are proxies that people put beside a Job to reach a database.
var helpers = []source{
	{name: CloudSQLProxy, dir: CloudSQLProxy, module: "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2", cgo: "0"},
	{name: AlloyDBAuthProxy, dir: AlloyDBAuthProxy, module: "github.com/GoogleCloudPlatform/alloydb-auth-proxy", cgo: "0"},
}

// The names of the helpers' programs.
const (
	CloudSQLProxy    = "cloud-sql-proxy"
	AlloyDBAuthProxy = "alloydb-auth-proxy"
)

// Dirs are the folders that hold the programs, for PATH.
type Dirs []string

// Path is the value of a PATH that finds the programs first.
func (d Dirs) Path() string {
	return strings.Join(append(d, os.Getenv("PATH")), string(os.PathListSeparator))
}

// Find returns the full name of a program.
func (d Dirs) Find(program string) (string, error) {
	for _, dir := range d {
		if file := filepath.Join(dir, program); isExecutable(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not among the programs in %s", program, strings.Join(d, ", "))
}

func isExecutable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Provide returns the folders of the cluster's programs, which are pinned below root, building what the cache does not
// have. It tells on progress what it is at, since a first build takes minutes.
func Provide(ctx context.Context, root string, progress io.Writer) (Dirs, error) {
	return provide(ctx, root, sources, progress)
}

// ProvideHelpers does the same for the proxies that run beside the Jobs.
func ProvideHelpers(ctx context.Context, root string, progress io.Writer) (Dirs, error) {
	return provide(ctx, root, helpers, progress)
}

func provide(ctx context.Context, root string, sources []source, progress io.Writer) (Dirs, error) {
	kept, err := cache.OfUser()
	if err != nil {
		return nil, err
	}
	var dirs Dirs
	for _, s := range sources {
		dir, err := s.provide(ctx, filepath.Join(root, s.dir), kept, progress)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

func (s source) provide(ctx context.Context, moduleDir string, kept cache.Dir, progress io.Writer) (string, error) {
	recipe, err := s.recipe(moduleDir)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s-%s-%s", s.name, recipe.version, recipe.key)
	return kept.Folder(name, func(folder string) error {
		fmt.Fprintf(progress, "e2e: building %s %s into %s, once\n", s.name, recipe.version, filepath.Join(string(kept), name))
		return s.build(ctx, moduleDir, folder, recipe.arguments, progress)
	})
}

// recipe is all that goes into the programs of a source.
type recipe struct {
	version   string
	arguments []string // of "go build" without the output: flags, then packages
	key       string
}

func (s source) recipe(moduleDir string) (recipe, error) {
	gomod, err := os.ReadFile(filepath.Join(moduleDir, "go.mod"))
	if err != nil {
		return recipe{}, err
	}
	gosum, err := os.ReadFile(filepath.Join(moduleDir, "go.sum"))
	if err != nil {
		return recipe{}, err
	}
	file, err := modfile.Parse("go.mod", gomod, nil)
	if err != nil {
		return recipe{}, err
	}
	version := requiredVersion(file, s.module)
	if version == "" {
		return recipe{}, fmt.Errorf("go.mod requires no %s", s.module)
	}
	arguments := s.arguments(file, version)
	return recipe{version, arguments, key(gomod, gosum, arguments, s.cgo)}, nil
}

func requiredVersion(file *modfile.File, module string) string {
	for _, require := range file.Require {
		if require.Mod.Path == module {
			return require.Mod.Version
		}
	}
	return ""
}

func (s source) arguments(file *modfile.File, version string) []string {
	ldflags := []string{"-s", "-w"}
	if s.ldflags != "" {
		ldflags = append(ldflags, s.ldflags)
	}
	if s.versionVariable != "" {
		ldflags = append(ldflags, "-X", s.versionVariable+"="+version)
	}
	arguments := []string{"-trimpath", "-mod=readonly", "-tags=" + s.tags, "-ldflags=" + strings.Join(ldflags, " ")}
	for _, tool := range file.Tool {
		if tool.Path == s.module || strings.HasPrefix(tool.Path, s.module+"/") {
			arguments = append(arguments, tool.Path)
		}
	}
	return arguments
}

// key is short: it tells apart the few variants one machine ever has.
func key(gomod, gosum []byte, arguments []string, cgo string) string {
	hash := sha256.New()
	for _, part := range []string{
		string(gomod), string(gosum), strings.Join(arguments, "\n"), cgo, runtime.Version(), runtime.GOARCH,
	} {
		fmt.Fprintf(hash, "%d\n%s\n", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

func (s source) build(ctx context.Context, moduleDir, output string, arguments []string, progress io.Writer) error {
	report := newCompileReport(s.name, progress)
	defer report.stop()
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-v", "-o", output + "/"}, arguments...)...)
	build.Dir = moduleDir
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=", "CGO_ENABLED="+s.cgo)
	build.Stderr = report
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, report.tail())
	}
	for from, to := range s.rename {
		if err := os.Rename(filepath.Join(output, from), filepath.Join(output, to)); err != nil {
			return err
		}
	}
	return nil
}
