// Package settings reads the settings of a run from its environment, and says what is missing before anything is built.
package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Settings are all settings of a run.
type Settings struct {
	Dist       string // JOBMESH_DIST: what "make build" made
	Helm3      string // JOBMESH_HELM3
	Helm4      string // JOBMESH_HELM4
	Kubeconfig string // KUBECONFIG: a cluster to use instead of starting one
	Registry   string // JOBMESH_E2E_REGISTRY: HOST[:PORT][/PREFIX] that this cluster pulls from, and this machine pushes to
	Logs       string // JOBMESH_E2E_LOGS: a folder to keep the logs of the run's own cluster in
	AllMeshes  bool   // MESHES=all: every combination beside real meshes, not only those of every run
}

// Hinted is an error with a hint about what to do.
type Hinted struct {
	Err  error
	Hint string
}

func (h Hinted) Error() string { return h.Err.Error() }

// Unwrap returns the error without the hint.
func (h Hinted) Unwrap() error { return h.Err }

// Report writes an error for people: what failed and why in one line, then what to do.
func Report(to io.Writer, err error) {
	fmt.Fprintf(to, "e2e: %v\n", err)
	if hinted := (Hinted{}); errors.As(err, &hinted) {
		fmt.Fprintf(to, "hint: %s\n", hinted.Hint)
	}
}

// OtherCluster is the hint if no cluster can be started.
const OtherCluster = "set KUBECONFIG and JOBMESH_E2E_REGISTRY to use another cluster"

// Read reads the environment. Files are searched below root, the repository.
func Read(getenv func(string) string, root string) (Settings, error) {
	or := func(name, fallback string) string {
		if value := getenv(name); value != "" {
			return value
		}
		return fallback
	}
	s := Settings{
		Dist:       or("JOBMESH_DIST", filepath.Join(root, "dist")),
		Helm3:      or("JOBMESH_HELM3", filepath.Join(root, "bin", "helm3")),
		Helm4:      or("JOBMESH_HELM4", filepath.Join(root, "bin", "helm4")),
		Kubeconfig: getenv("KUBECONFIG"),
		Registry:   getenv("JOBMESH_E2E_REGISTRY"),
		Logs:       getenv("JOBMESH_E2E_LOGS"),
		AllMeshes:  getenv("MESHES") == "all",
	}
	switch {
	case getenv("MESHES") != "" && !s.AllMeshes:
		return s, Hinted{fmt.Errorf("MESHES=%s: not a set of tests", getenv("MESHES")), "MESHES=all, or nothing"}
	case s.Kubeconfig != "" && s.Registry == "":
		return s, Hinted{
			errors.New("cluster of KUBECONFIG: no registry is named that it pulls from"),
			"set JOBMESH_E2E_REGISTRY=HOST[:PORT][/PREFIX], or unset KUBECONFIG to start a cluster",
		}
	case s.Kubeconfig == "" && s.Registry != "":
		return s, Hinted{
			errors.New("registry of JOBMESH_E2E_REGISTRY: no cluster is named that pulls from it"),
			"set KUBECONFIG, or unset JOBMESH_E2E_REGISTRY to start a cluster",
		}
	}
	return s, nil
}

// OwnCluster tells whether the run starts its own cluster.
func (s Settings) OwnCluster() bool { return s.Kubeconfig == "" }

// CheckMachine says why this user cannot start a cluster on this machine.
func (s Settings) CheckMachine(goos string, euid int) error {
	switch {
	case !s.OwnCluster():
		return nil
	case goos != "linux":
		return Hinted{fmt.Errorf("cluster: it needs Linux, not %s", goos), OtherCluster}
	case euid != 0:
		return Hinted{fmt.Errorf("cluster: it needs root, not user %d", euid), "run as root, or " + OtherCluster}
	}
	return nil
}

// CheckFiles says which files have not been built.
func (s Settings) CheckFiles() error {
	if _, err := os.Stat(filepath.Join(s.Dist, "oci", "index.json")); err != nil {
		return Hinted{fmt.Errorf("image: %w", err), "make build"}
	}
	if _, err := s.Archive(); err != nil {
		return Hinted{err, "make build"}
	}
	for name, helm := range map[string]string{"JOBMESH_HELM3": s.Helm3, "JOBMESH_HELM4": s.Helm4} {
		if _, err := exec.LookPath(helm); err != nil {
			return Hinted{fmt.Errorf("helm: %w", err), fmt.Sprintf("make e2e, or set %s to where it is", name)}
		}
	}
	return nil
}

// Archive returns the path of the packaged library chart.
func (s Settings) Archive() (string, error) {
	pattern := filepath.Join(s.Dist, "charts", "jobmesh-[0-9]*.tgz")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("chart: want one file %s, there are %d", pattern, len(found))
	}
	return found[0], nil
}
