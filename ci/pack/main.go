// Command pack writes what is released beside the image and the charts into release/: archives
// of the command line for each platform, manifests for krew and Homebrew, the plugin of Helm 4
// for each platform, a bill of materials for each archive in two formats, provenance, and the
// checksums of all of them. With SIGN_KEY, a private key as jobmesh build --sign-key takes it,
// plugins, provenance and checksums are signed. It publishes nothing and needs no network.
//
// REGISTRY is the registry to which the image will be published, as in make build. DOWNLOADS is
// the address of the folder to which release/ will be copied; the manifests name it.
//
// It is called by make release, after make build, and needs bin/goreleaser.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// folder is the folder that goreleaser writes to; .goreleaser.yaml has the same name.
const folder = "release"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	key, err := signingKey()
	if err != nil {
		return err
	}
	digest, err := builtImage()
	if err != nil {
		return err
	}
	recipe, err := image.LoadRecipe(".", "jobmesh-cli", jobmesh.Version, os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	compiler, err := image.NewCompiler(ctx, ".")
	if err != nil {
		return err
	}
	// goreleaser sets the operating system of a program, so GOOS is left out.
	environment := slices.DeleteFunc(compiler.Environment(), func(entry string) bool { return strings.HasPrefix(entry, "GOOS=") })
	if err := pack(ctx, environment, recipe, digest); err != nil {
		return err
	}
	archives, err := packed()
	if err != nil {
		return err
	}
	plugins, err := pluginsOf(archives, recipe)
	if err != nil {
		return err
	}
	r := release{recipe: recipe, digest: digest, archives: archives, toolchain: compiler.Toolchain,
		environment: environment, revision: provenance.RevisionOf(ctx, "."), plugins: plugins}
	files, err := r.documents()
	if err != nil {
		return err
	}
	var signatures map[string][]byte
	if key != nil {
		if signatures, err = r.signatures(key); err != nil {
			return err
		}
	}
	return finish(files, signatures, archives, key)
}

// signingKey reads the key that SIGN_KEY names, and returns nil where it is not set.
func signingKey() (*signature.Key, error) {
	path := os.Getenv("SIGN_KEY")
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := signature.ReadKey(path, text, func() ([]byte, error) {
		passphrase, given := os.LookupEnv("COSIGN_PASSWORD")
		if !given {
			return nil, fmt.Errorf("key %s is encrypted, and there is no passphrase\nhint: set COSIGN_PASSWORD to it", path)
		}
		return []byte(passphrase), nil
	})
	if err != nil {
		return nil, err
	}
	public, err := os.ReadFile(publicKey)
	if errors.Is(err, fs.ErrNotExist) {
		return key, nil
	}
	if err != nil {
		return nil, err
	}
	return key, checkKey(key, public)
}

// publicKey is the file by which action.yml verifies who has released the program.
const publicKey = "release.pub"

// checkKey refuses a key whose signatures the action would not accept.
func checkKey(key *signature.Key, public []byte) error {
	known, err := signature.ReadPublicKey(publicKey, public)
	if err == nil && known.Hint() != key.Public().Hint() {
		err = fmt.Errorf("the key of SIGN_KEY is not that of %s, by which action.yml verifies what it downloads\nhint: openssl pkey -in KEY -pubout -out %s", publicKey, publicKey)
	}
	return err
}

// builtImage returns the digest of the image in dist/, to which the archives are pinned.
func builtImage() (string, error) {
	text, err := os.ReadFile("dist/result.json")
	if err != nil {
		return "", fmt.Errorf("%w\nhint: make release runs make build first", err)
	}
	var built struct {
		Version string
		Image   struct{ Name, Digest string }
	}
	if err := json.Unmarshal(text, &built); err != nil {
		return "", fmt.Errorf("dist/result.json: %w", err)
	}
	return built.Image.Digest, checkImage(built.Image.Name, built.Version, built.Image.Digest, jobmesh.Version, jobmesh.ImageDigest)
}

// checkImage refuses an image that is not the one of this version. The parameter noted is the
// digest in image.digest; it is empty for a version that was not raised by ci/release.
func checkImage(name, version, digest, wanted, noted string) error {
	switch {
	case name != "jobmesh-wrap":
		return fmt.Errorf("dist/ has the image %s, not jobmesh-wrap\nhint: make build", name)
	case version != wanted:
		return fmt.Errorf("dist/ has version %s, VERSION says %s\nhint: make build", version, wanted)
	case noted != "" && digest != noted:
		return fmt.Errorf("image in dist/ is %s, image.digest says %s\nhint: what the image is made of has changed since ci/release raised the version; go back to that commit, or raise the version again", digest, noted)
	}
	return nil
}

// pack runs goreleaser with the environment of every compilation, so that the caller's Go
// settings do not affect the programs.
func pack(ctx context.Context, environment []string, recipe image.Recipe, digest string) error {
	cmd := exec.CommandContext(ctx, "bin/goreleaser", "release", "--snapshot", "--clean", "--skip=announce,publish,validate")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	for _, entry := range os.Environ() {
		if !setsGo(entry) {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	repository := ""
	if registry := os.Getenv("REGISTRY"); registry != "" {
		repository = registry + "/jobmesh-wrap"
	}
	cmd.Env = append(append(cmd.Env, environment...),
		"JOBMESH_REPOSITORY="+repository, "JOBMESH_DOWNLOADS="+downloads(os.Getenv("DOWNLOADS"), recipe.Version),
		"JOBMESH_VERSION="+recipe.Version, "JOBMESH_DIGEST="+digest, "JOBMESH_COMMIT="+os.Getenv("JOBMESH_COMMIT"),
		"JOBMESH_DATE="+recipe.Created.UTC().Format(time.RFC3339), "SOURCE_DATE_EPOCH="+strconv.FormatInt(recipe.Created.Unix(), 10))
	return cmd.Run()
}

// downloads returns the folder that the manifests of krew and Homebrew name.
func downloads(asked, version string) string {
	if asked == "" {
		return "https://github.com/jobmesh/jobmesh/releases/download/v" + version
	}
	return strings.TrimSuffix(asked, "/")
}

// setsGo tells whether an environment entry is a setting of Go, except those for the places of
// caches and modules.
func setsGo(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	passed := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOSUMDB"}
	return (strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO_")) && !slices.Contains(passed, name)
}

// An archive is a file of the release that contains one program.
type archive struct {
	name, platform string
	digest         string
	// binary is the program, and path is its path in the archive.
	binary []byte
	path   string
}

// packed returns the archives that goreleaser lists, sorted by name.
func packed() ([]archive, error) {
	text, err := os.ReadFile(filepath.Join(folder, "artifacts.json"))
	if err != nil {
		return nil, err
	}
	var listed []struct{ Name, Path, Goos, Goarch, Type string }
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, fmt.Errorf("%s/artifacts.json: %w", folder, err)
	}
	var archives []archive
	for _, a := range listed {
		if a.Type != "Archive" {
			continue
		}
		content, err := os.ReadFile(a.Path)
		if err != nil {
			return nil, err
		}
		found := archive{name: a.Name, platform: a.Goos + "/" + a.Goarch, digest: digestOf(content)}
		for _, b := range listed {
			if b.Type == "Binary" && b.Goos == a.Goos && b.Goarch == a.Goarch {
				found.path = b.Name
				if found.binary, err = os.ReadFile(b.Path); err != nil {
					return nil, err
				}
			}
		}
		if found.binary == nil {
			return nil, fmt.Errorf("%s: goreleaser lists no program for %s", a.Name, found.platform)
		}
		archives = append(archives, found)
	}
	if len(archives) == 0 {
		return nil, errors.New("goreleaser has packed no archive")
	}
	slices.SortFunc(archives, func(x, y archive) int { return strings.Compare(x.name, y.name) })
	return archives, nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// finish leaves only released files in the folder: the archives, the manifests, the documents,
// the checksums, and the signatures where there is a key.
func finish(documents, signatures map[string][]byte, archives []archive, key *signature.Key) error {
	keep := []string{"krew", "homebrew"}
	sums := map[string]string{}
	for _, a := range archives {
		keep = append(keep, a.name)
		sums[a.name] = a.digest
	}
	for name, text := range documents {
		sums[name] = digestOf(text)
	}
	documents[plugin.ChecksumsFile] = checksums(sums)
	maps.Copy(documents, signatures)
	if key != nil {
		statement, err := signature.Statement(digestOf(documents[plugin.ChecksumsFile]))
		if err != nil {
			return err
		}
		for name, signed := range map[string][]byte{plugin.ChecksumsFile: statement, provenanceName: documents[provenanceName]} {
			if documents[name+".sigstore.json"], err = key.Sign(signed); err != nil {
				return err
			}
		}
		if documents[plugin.ChecksumsFile+".sig"], err = key.Detached(documents[plugin.ChecksumsFile]); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, e.Name())))
		}
	}
	for name, text := range documents {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	if err == nil {
		fmt.Print(string(documents[plugin.ChecksumsFile]))
	}
	return err
}

// checksums returns the text that sha256sum -c reads, sorted by name.
func checksums(sums map[string]string) []byte {
	var lines []string
	for name, digest := range sums {
		lines = append(lines, strings.TrimPrefix(digest, "sha256:")+"  "+name+"\n")
	}
	slices.SortFunc(lines, func(x, y string) int { return strings.Compare(x[66:], y[66:]) })
	return []byte(strings.Join(lines, ""))
}

// A release is the content of the documents.
type release struct {
	recipe      image.Recipe
	digest      string // the digest of the image to which the programs are pinned
	archives    []archive
	toolchain   string
	environment []string
	revision    provenance.Revision
	plugins     []plugin.Archive
}

const provenanceName = "provenance.intoto.json"

// documents returns the plugins of Helm, the bills and the provenance, keyed by file name.
func (r release) documents() (map[string][]byte, error) {
	files := map[string][]byte{}
	labels := r.recipe.Labels
	build := provenance.Build{
		Type: provenance.ArchiveBuild, Version: r.recipe.Version,
		External: map[string]any{"created": provenance.Date(r.recipe.Created), "image": r.digest},
		Internal: map[string]any{"package": "./cmd/jobmesh", "environment": anyOf(r.environment), "settings": ".goreleaser.yaml"},
		Materials: []provenance.Material{
			r.revision.Material(labels[ocispec.AnnotationSource]),
			{Name: "go", URI: "pkg:generic/go@" + strings.TrimPrefix(r.toolchain, "go")},
		},
	}
	for _, a := range r.archives {
		build.Subjects = append(build.Subjects, provenance.Subject{Name: a.name, Digest: a.digest})
		bill := sbom.Image{
			Name: "jobmesh", Version: r.recipe.Version, Archive: a.name, Digest: a.digest, Platform: a.platform, Created: r.recipe.Created,
			License: labels[ocispec.AnnotationLicenses], Source: labels[ocispec.AnnotationSource], Supplier: labels[ocispec.AnnotationVendor],
			Files: []sbom.File{{Path: "/" + a.path, Content: sbom.ContentOf(a.binary)}},
		}
		for _, kind := range []struct {
			suffix, mediaType string
			write             func(sbom.Image) ([]byte, error)
		}{{".spdx.json", sbom.SPDX, sbom.WriteSPDX}, {".cdx.json", sbom.CycloneDX, sbom.WriteCycloneDX}} {
			text, err := kind.write(bill)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", a.name, err)
			}
			files[a.name+kind.suffix] = text
			build.Byproducts = append(build.Byproducts, provenance.Byproduct{Name: a.name + kind.suffix, MediaType: kind.mediaType, Digest: digestOf(text)})
		}
	}
	for _, p := range r.plugins {
		files[p.FileName()] = p.Bytes
		build.Subjects = append(build.Subjects, provenance.Subject{Name: p.FileName(), Digest: digestOf(p.Bytes)})
	}
	statement, err := provenance.Write(build)
	files[provenanceName] = statement
	return files, err
}

func anyOf(values []string) []any {
	all := []any{}
	for _, v := range values {
		all = append(all, v)
	}
	return all
}
