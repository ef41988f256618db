package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
	"github.com/jobmesh/jobmesh/tests/e2e/sandbox"
	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

// repository is relative to this folder. sandboxDir is in memory, and disappears with the sandbox.
const (
	repository = "../.."
	sandboxDir = "/run/jobmesh-e2e"
	clusterDir = sandboxDir + "/cluster"
)

// scenariosAtOnce is more than the number of processors, because tests mostly wait. "go test -parallel" overrides it.
const scenariosAtOnce = "8"

func TestMain(m *testing.M) {
	sandbox.Init()
	flag.Parse()
	code, err := run(m)
	if err != nil {
		settings.Report(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run runs the tests on the cluster that the environment names, or in a sandbox with its own cluster.
func run(m *testing.M) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	given, err := settings.Read(os.Getenv, repository)
	if err != nil {
		return 0, err
	}
	if err := given.CheckMachine(runtime.GOOS, os.Geteuid()); err != nil {
		return 0, err
	}
	if err := given.CheckFiles(); err != nil {
		return 0, err
	}
	switch {
	case !given.OwnCluster():
		return runOnCluster(ctx, m, given)
	case sandbox.Inside():
		return runInSandbox(ctx, m, given)
	default:
		return enterSandbox(ctx)
	}
}

// enterSandbox does what needs the machine's network, and then runs the same program again in a sandbox.
func enterSandbox(ctx context.Context) (int, error) {
	if err := programs.InstallPackages(ctx, os.Stderr); err != nil {
		return 0, settings.Hinted{Err: err, Hint: "install them by hand, or " + settings.OtherCluster}
	}
	if err := programs.ProvideAll(ctx, ".", os.Stderr); err != nil {
		return 0, err
	}
	if _, err := envoy.Provide(ctx, os.Stderr); err != nil {
		return 0, err
	}
	return sandbox.Run()
}

func runInSandbox(ctx context.Context, m *testing.M, given settings.Settings) (int, error) {
	found, err := programs.Provide(ctx, "cluster", os.Stderr)
	if err != nil {
		return 0, err
	}
	kubectl, err := found.Find("kubectl")
	if err != nil {
		return 0, err
	}
	if given.Registry, err = image.Serve(); err != nil {
		return 0, err
	}
	images, err := pushImages(ctx, given, sandboxDir)
	if err != nil {
		return 0, err
	}
	if given.Logs == "" {
		given.Logs = filepath.Join(sandboxDir, "logs")
	}
	given.Kubeconfig, err = cluster.Start(ctx, cluster.Options{
		Programs:       found,
		Dir:            clusterDir,
		Logs:           given.Logs,
		Cgroup:         sandbox.Cgroup(),
		NodeName:       sandbox.Hostname,
		NodeIP:         sandbox.NodeIP,
		ServiceNetwork: sandbox.ServiceNetwork,
		Registry:       given.Registry,
		SandboxImage:   images.pause.Name(),
		Progress:       os.Stderr,
	})
	if err != nil {
		return 0, err
	}
	return runTests(ctx, m, given, images, kubectl, sandboxDir)
}

func runOnCluster(ctx context.Context, m *testing.M, given settings.Settings) (code int, err error) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return 0, fmt.Errorf("kubectl: %w", err)
	}
	dir, err := os.MkdirTemp("", "jobmesh-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	images, err := pushImages(ctx, given, dir)
	if err != nil {
		return 0, err
	}
	return runTests(ctx, m, given, images, kubectl, dir)
}

// runTests prepares what all tests share, runs the tests, and prints the table of times.
func runTests(
	ctx context.Context, m *testing.M, given settings.Settings, images testImages, kubectl, dir string,
) (code int, err error) {
	the, err = newSuite(ctx, given, images, kubectl, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, the.close()) }()
	if err := the.open(); err != nil {
		return 0, err
	}
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(scenariosAtOnce); err != nil {
			return 0, err
		}
	}
	code = m.Run()
	if code == 0 {
		err = shown.settle(resultsFile, sandbox.Inside() && wholeRun(), given.AllMeshes)
	}
	return code, errors.Join(err, times.print(os.Stdout), context.Cause(ctx))
}

// wholeRun tells whether the run includes all tests.
func wholeRun() bool {
	return flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
}
