// Package programs provides the programs of the test cluster, and of the proxies and service meshes that run in it.
// They are compiled once from Go modules that pin them, and kept in the user's cache. Their key there is made of
// everything that goes into them, so that a change of version never finds an old program.
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
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

// source is a project whose programs are built together: those tools of a go.mod that belong to the project's module or
// to the module of the go.mod itself.
type source struct {
	name            string
	dir             string // has the go.mod that pins the programs by its tool directives
	module          string // the module whose version is the version of the programs
	only            string // the only tool to build, if other tools need other flags
	versionVariable string // the variable that the linker sets to the version, if any
	tags            string
	ldflags         string
	cgo             string
	rename          map[string]string // programs that are named differently from their packages
	files           map[string]string // files or folders to copy out of the module, and their names next to the programs
}

// sources are in order of size, so that a broken toolchain shows early.
var sources = []source{
	{
		name:    "runc",
		dir:     "node",
		module:  "github.com/opencontainers/runc",
		tags:    "seccomp,netgo,osusergo",
		ldflags: "-extldflags=-static", // a cached program must not depend on a library that may be removed later
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
		versionVariable: "k8s.io/component-base/version.gitVersion", // if it is not set, the API server reports no usable version
		cgo:             "0",
	},
}

// helpers are proxies that people put beside a Job to reach a database.
var helpers = []source{
	{name: CloudSQLProxy, dir: CloudSQLProxy, module: "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2", cgo: "0"},
	{name: AlloyDBAuthProxy, dir: AlloyDBAuthProxy, module: "github.com/GoogleCloudPlatform/alloydb-auth-proxy", cgo: "0"},
}

const (
	CloudSQLProxy    = "cloud-sql-proxy"
	AlloyDBAuthProxy = "alloydb-auth-proxy"
)

// meshes are service meshes with their control planes, and the Helm charts that install them.
var meshes = []source{
	{
		name: "istiod", dir: "istio", module: istioModule, only: istioModule + "/pilot/cmd/" + PilotDiscovery,
		tags: "disable_pgv", cgo: "0",
		files: map[string]string{
			"VERSION":               "VERSION",
			"manifests/charts/base": filepath.Join(Charts, "base"),
			"manifests/charts/istio-control/istio-discovery": filepath.Join(Charts, "istiod"),
			"tools/packaging/common/envoy_bootstrap.json":    EnvoyTemplate,
		},
	},
	{ // the tag leaves out code that only the control plane needs
		name: "istio-proxy", dir: "istio", module: istioModule, only: istioModule + "/pilot/cmd/" + PilotAgent,
		tags: "agent,disable_pgv,grpcnotrace,retrynotrace", cgo: "0",
	},
	{
		name: "istio-cni", dir: "istio", module: istioModule, only: istioModule + "/cni/cmd/" + IstioCNI,
		tags: "disable_pgv", cgo: "0",
	},
	{
		name: "dapr", dir: "dapr", module: "github.com/dapr/dapr", versionVariable: "github.com/dapr/dapr/pkg/buildinfo.version", cgo: "0",
		files: map[string]string{"charts/dapr": filepath.Join(Charts, "dapr")},
	},
}

const istioModule = "istio.io/istio"

// These are the names of the meshes' programs and files.
const (
	PilotDiscovery = "pilot-discovery"
	PilotAgent     = "pilot-agent"
	IstioCNI       = "istio-cni"
	EnvoyTemplate  = "envoy_bootstrap.json" // the template with which Istio's agent starts its Envoy
	Charts         = "charts"               // the folder of charts
)

// Dirs are the folders that hold the programs, for PATH.
type Dirs []string

// Path returns a value of PATH that finds these programs first.
func (d Dirs) Path() string {
	return strings.Join(append(d, os.Getenv("PATH")), string(os.PathListSeparator))
}

// Find returns the full path of a program.
func (d Dirs) Find(program string) (string, error) {
	for _, dir := range d {
		if file := filepath.Join(dir, program); isExecutable(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not among the programs in %s", program, strings.Join(d, ", "))
}

// Beside returns the full path of a file or folder in a folder of the programs.
func (d Dirs) Beside(name string) (string, error) {
	for _, dir := range d {
		if file := filepath.Join(dir, name); exists(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not beside the programs in %s", name, strings.Join(d, ", "))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func isExecutable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Provide returns the folders of the cluster's programs, which are pinned below root. It builds the programs that are
// not in the cache, and reports its progress, since a first build takes minutes.
func Provide(ctx context.Context, root string, progress io.Writer) (Dirs, error) {
	return provide(ctx, root, sources, progress)
}

// ProvideHelpers does the same for the proxies that run beside the Jobs.
func ProvideHelpers(ctx context.Context, root string, progress io.Writer) (Dirs, error) {
	return provide(ctx, root, helpers, progress)
}

// ProvideMeshes does the same for service meshes.
func ProvideMeshes(ctx context.Context, root string, progress io.Writer) (Dirs, error) {
	return provide(ctx, root, meshes, progress)
}

// ProvideAll provides the programs of the cluster, of the helpers and of the meshes. root is the folder of the end-to-end tests.
func ProvideAll(ctx context.Context, root string, progress io.Writer) error {
	if _, err := Provide(ctx, filepath.Join(root, "cluster"), progress); err != nil {
		return err
	}
	if _, err := ProvideHelpers(ctx, filepath.Join(root, "helpers"), progress); err != nil {
		return err
	}
	_, err := ProvideMeshes(ctx, filepath.Join(root, "meshes"), progress)
	return err
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
		if err := s.build(ctx, moduleDir, folder, recipe.arguments, progress); err != nil {
			return err
		}
		return s.copyFiles(ctx, moduleDir, folder)
	})
}

// recipe is everything that goes into the programs of a source.
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
	more, err := ownCode(moduleDir, file)
	if err != nil {
		return recipe{}, err
	}
	for from, to := range s.files {
		more = append(more, from+" "+to)
	}
	slices.Sort(more)
	return recipe{version, arguments, key(gomod, gosum, arguments, s.cgo, more...)}, nil
}

// ownCode returns the code of those tools that are packages of the go.mod's own module.
func ownCode(moduleDir string, file *modfile.File) ([]string, error) {
	var code []string
	for _, tool := range file.Tool {
		dir, own := strings.CutPrefix(tool.Path, file.Module.Mod.Path+"/")
		if !own {
			continue
		}
		sources, err := filepath.Glob(filepath.Join(moduleDir, dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			content, err := os.ReadFile(source)
			if err != nil {
				return nil, err
			}
			code = append(code, string(content))
		}
	}
	return code, nil
}

// ModuleVersion returns the version of a module that a go.mod requires.
func ModuleVersion(gomod, module string) (string, error) {
	content, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	file, err := modfile.Parse(gomod, content, nil)
	if err != nil {
		return "", err
	}
	if version := requiredVersion(file, module); version != "" {
		return version, nil
	}
	return "", fmt.Errorf("%s requires no %s", gomod, module)
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
		if s.builds(tool.Path, s.module) || file.Module != nil && s.builds(tool.Path, file.Module.Mod.Path) {
			arguments = append(arguments, tool.Path)
		}
	}
	return arguments
}

func (s source) builds(tool, module string) bool {
	if s.only != "" {
		return tool == s.only
	}
	return tool == module || strings.HasPrefix(tool, module+"/")
}

// key returns a short hash: it only distinguishes the few variants on one machine.
func key(gomod, gosum []byte, arguments []string, cgo string, more ...string) string {
	hash := sha256.New()
	for _, part := range append([]string{
		string(gomod), string(gosum), strings.Join(arguments, "\n"), cgo, runtime.Version(), runtime.GOARCH,
	}, more...) {
		fmt.Fprintf(hash, "%d\n%s\n", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

func (s source) build(ctx context.Context, moduleDir, output string, arguments []string, progress io.Writer) error {
	report := newCompileReport(s.name, progress)
	defer report.stop()
	build := s.command(ctx, moduleDir, append([]string{"build", "-v", "-o", output + "/"}, arguments...)...)
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

// command returns a command of Go in a module. It resets variables of the environment that would change the build.
func (s source) command(ctx context.Context, moduleDir string, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "go", arguments...)
	c.Dir = moduleDir
	c.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=", "CGO_ENABLED="+s.cgo)
	return c
}

// copyFiles copies those files of the module that are used unchanged, next to the programs.
func (s source) copyFiles(ctx context.Context, moduleDir, output string) error {
	if len(s.files) == 0 {
		return nil
	}
	dir, err := s.command(ctx, moduleDir, "list", "-m", "-f", "{{.Dir}}", s.module).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for from, to := range s.files {
		if err := copyFrom(filepath.Join(strings.TrimSpace(string(dir)), from), filepath.Join(output, to)); err != nil {
			return err
		}
	}
	return nil
}

// copyFrom copies a file or a folder.
func copyFrom(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}
