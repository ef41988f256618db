package archives

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// hangs returns a Job that lint finds to hang: the one that the tests of the action use.
func hangs(t *testing.T) io.Reader {
	return bytes.NewReader(read(t, root, "tests", "hooks", "testdata", "hangs.yaml"))
}

// tryWays installs the release in release/ in each of the ways of docs/install.md. Its manifests name a file server
// that is running. key is the file with the key that has signed the release.
func tryWays(t *testing.T, version, digest, key string) {
	t.Run("krew", func(t *testing.T) { tryKrew(t, version) })
	t.Run("homebrew", func(t *testing.T) { tryHomebrew(t, version) })
	t.Run("go install", func(t *testing.T) { tryGoInstall(t, version, digest) })
	t.Run("image", func(t *testing.T) { tryImage(t, version, key) })
	t.Run("page", func(t *testing.T) { runTests(t, key, "-run", "TestPages/docs/install", "./tests/docs") })
	t.Run("action", func(t *testing.T) { runTests(t, key, "-run", "TestAction", "./tests/hooks") })
}

// run runs a command and returns what it prints to stdout.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	printed, err := cmd.Output()
	require.NoError(t, err, "%s: %s%s", cmd, printed, said.String())
	return string(printed)
}

// lints checks that a program finds the Job that hangs, as jobmesh does.
func lints(t *testing.T, program string) {
	t.Helper()
	cmd := exec.Command(program, "lint", "--mesh", "linkerd", "--mesh-version", "2.18", "-")
	cmd.Stdin = hangs(t)
	printed, _ := cmd.CombinedOutput() // the exit code is 1
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), string(printed))
	require.Contains(t, string(printed), "JM101")
}

// tryKrew lets krew check the manifest by its rules, and then install the archive for this platform.
func tryKrew(t *testing.T, version string) {
	manifest := filepath.Join(root, "release", "krew", "jobmesh.yaml")
	run(t, exec.Command(program(t, "validate-krew-manifest"), "-skip-install", "-manifest", manifest))
	krew := exec.Command(program(t, "krew"), "install", "--manifest", manifest)
	home := t.TempDir()
	krew.Env = append(os.Environ(), "KREW_ROOT="+home)
	run(t, krew)
	plugin := filepath.Join(home, "bin", "kubectl-jobmesh")
	require.Contains(t, run(t, exec.Command(plugin, "--version")), version)
	require.Contains(t, run(t, exec.Command(plugin, "--help")), "kubectl jobmesh")
	lints(t, plugin)
}

func tryHomebrew(t *testing.T, version string) {
	formula := filepath.Join(root, "release", "homebrew", "Formula", "jobmesh.rb")
	bin := t.TempDir()
	run(t, exec.Command("ruby", "-wc", formula))
	run(t, exec.Command("ruby", filepath.Join("testdata", "install.rb"), formula, bin))
	installed := filepath.Join(bin, "jobmesh")
	require.Contains(t, run(t, exec.Command(installed, "--version")), version)
	lints(t, installed)
}

// tryGoInstall installs the sources as a module from a Go module proxy, with the line in image.digest that ci/release
// writes. The program must know its version and the digest that it pins.
func tryGoInstall(t *testing.T, version, digest string) {
	proxy := t.TempDir()
	writeModule(t, proxy, module.Version{Path: "github.com/jobmesh/jobmesh", Version: "v" + version}, version+" "+digest+"\n")
	bin := t.TempDir()
	cmd := exec.Command("go", "install", "github.com/jobmesh/jobmesh/cmd/jobmesh@v"+version)
	kept := strings.TrimSpace(run(t, exec.Command("go", "env", "GOMODCACHE")))
	cmd.Dir = bin // outside every module
	// It uses its own module cache, because this version must not stay in the cache of the machine. Modules of others
	// still come from that cache. The flags are those of the archives, whose packages are compiled already.
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOMODCACHE="+filepath.Join(t.TempDir(), "modules"), "GOFLAGS=-modcacherw -trimpath -buildvcs=false", "CGO_ENABLED=0",
		"GOPROXY=file://"+proxy+",file://"+filepath.Join(kept, "cache", "download"), "GONOSUMDB=*", "GOSUMDB=off", "GOTOOLCHAIN=local")
	run(t, cmd)
	installed := filepath.Join(bin, "jobmesh")
	var says struct {
		Version string
		Image   struct{ Digest string }
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, exec.Command(installed, "version", "-o", "json"))), &says))
	require.Equal(t, version, says.Version)
	require.Equal(t, digest, says.Image.Digest)
	lints(t, installed)
}

// A sourceFile is a file of the sources in a module. content is set if it differs from the sources.
type sourceFile struct {
	path    string
	content string
}

func (f sourceFile) Path() string                { return f.path }
func (f sourceFile) Lstat() (os.FileInfo, error) { return os.Lstat(filepath.Join(root, f.path)) }
func (f sourceFile) Open() (io.ReadCloser, error) {
	if f.content != "" {
		return io.NopCloser(strings.NewReader(f.content)), nil
	}
	return os.Open(filepath.Join(root, f.path))
}

// writeModule writes the sources into a folder that serves as a Go module proxy.
func writeModule(t *testing.T, proxy string, m module.Version, digests string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	var files []zip.File
	var nested []string // folders with their own module
	listed := strings.Fields(run(t, list))
	for _, path := range listed {
		if folder, isModule := strings.CutSuffix(path, "/go.mod"); isModule {
			nested = append(nested, folder+"/")
		}
	}
next:
	for _, path := range listed {
		for _, folder := range nested {
			if strings.HasPrefix(path, folder) {
				continue next
			}
		}
		file := sourceFile{path: path}
		if path == "image.digest" {
			file.content = digests
		}
		files = append(files, file)
	}
	folder := filepath.Join(proxy, m.Path, "@v")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	packed, err := os.Create(filepath.Join(folder, m.Version+".zip"))
	require.NoError(t, err)
	require.NoError(t, zip.Create(packed, m, files))
	require.NoError(t, packed.Close())
	require.NoError(t, os.WriteFile(filepath.Join(folder, "list"), []byte(m.Version+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, m.Version+".mod"), read(t, root, "go.mod"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, m.Version+".info"), []byte(`{"Version":"`+m.Version+`"}`), 0o600))
}

// tryImage publishes everything to a registry, and runs the program of the command line image without any other files.
func tryImage(t *testing.T, version, key string) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	prefix := strings.TrimPrefix(server.URL, "http://") + "/platform"
	jobmesh := program(t, "jobmesh")
	made := filepath.Join(t.TempDir(), "dist")
	build := exec.Command(jobmesh, "build", "--image", "jobmesh-cli", "--platform", "linux/"+runtime.GOARCH, "--output", made)
	build.Dir = root
	run(t, build)
	publish := exec.Command(jobmesh, "publish", prefix, "--sign-key", key, "--from", "dist", "--from", made, "--from", "release")
	publish.Dir = root
	published := run(t, publish)
	plugins, err := filepath.Glob(filepath.Join(root, "release", "jobmesh-helm-plugin-*.tgz"))
	require.NoError(t, err)
	for repository, count := range map[string]int{"jobmesh-wrap": 1, "jobmesh": 1, "cronjobs": 1, "jobmesh-cli": 1, "jobmesh-helm-plugin": len(plugins)} {
		require.Equal(t, count, strings.Count(published, prefix+"/"+repository+"@sha256:"), published)
	}
	reference, err := name.ParseReference(prefix + "/jobmesh-cli:" + version)
	require.NoError(t, err)
	run(t, exec.Command(jobmesh, "verify", reference.Name(), "--key", key+".pub"))

	image, err := remote.Image(reference, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	require.NoError(t, err)
	config, err := image.ConfigFile()
	require.NoError(t, err)
	alone := t.TempDir()
	for entries := tar.NewReader(mutate.Extract(image)); ; {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if header.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(entries)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(alone, filepath.Base(header.Name)), content, header.FileInfo().Mode()))
		}
	}
	cmd := exec.Command(config.Config.Entrypoint[0], "lint", "--mesh", "linkerd", "--mesh-version", "2.18", "-")
	cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{}, hangs(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: alone, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if os.Getuid() != 0 { // only root may change the root folder
		cmd.Path, cmd.SysProcAttr = filepath.Join(alone, "jobmesh"), nil
	}
	output, _ := cmd.CombinedOutput() // the exit code is 1
	require.Contains(t, string(output), "JM101")
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), string(output))
}

// runTests runs those tests of the repository that need a release.
func runTests(t *testing.T, key string, arguments ...string) {
	released, err := filepath.Abs(filepath.Join(root, "release"))
	require.NoError(t, err)
	cmd := exec.Command("go", append([]string{"test", "-count=1", "-v"}, arguments...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "JOBMESH_RELEASE="+released, "JOBMESH_RELEASE_KEY="+key+".pub")
	printed := run(t, cmd)
	require.NotContains(t, printed, "SKIP", printed)
	require.Contains(t, printed, "--- PASS", printed)
}
