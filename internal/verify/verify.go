// Package verify checks whether a release is what it says it is: every digest,
// platform, program and pin, and, on demand, whether the sources give the same
// bytes again.
package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/elfcheck"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// A Finding is the result of one check.
type Finding struct {
	// Object is what was checked, such as linux/arm64 or the chart.
	Object string
	// Aspect is what about the object was checked.
	Aspect string
	// Note is what there is to say beside ok, where the check has passed.
	Note string
	// Err is nil where the check has passed.
	Err error
}

// A Wanted says what a release has to fulfil beside agreeing with itself.
type Wanted struct {
	// Key is the key that has to have signed everything; nil where signatures are not checked.
	Key *signature.PublicKey
	// Name and Tag are the name and the tag that somebody asked for; empty where nobody did.
	Name, Tag string
	// Sources say what a release has: images/NAME/image.yaml, charts/NAME/Chart.yaml and
	// library-chart/Chart.yaml. They may be nil.
	Sources fs.FS
}

// recipe returns the recipe of the image, or nil where the sources have none of that name.
func (w Wanted) recipe(s release.Stored) *image.Recipe {
	if w.Sources == nil {
		return nil
	}
	return image.KnownRecipe(w.Sources, s.Result.Image.Name)
}

// charts returns the names of the charts that are released with an image whose recipe says
// that it has charts: the library, and the charts that carry it.
func (w Wanted) charts() (library string, applications []string, err error) {
	if library, err = chartName(w.Sources, "library-chart/Chart.yaml"); err != nil {
		return "", nil, err
	}
	files, err := fs.Glob(w.Sources, "charts/*/Chart.yaml")
	if err != nil {
		return "", nil, err
	}
	for _, file := range files {
		name, err := chartName(w.Sources, file)
		if err != nil {
			return "", nil, err
		}
		applications = append(applications, name)
	}
	return library, applications, nil
}

func chartName(sources fs.FS, file string) (string, error) {
	var chart struct {
		Name string `json:"name"`
	}
	text, err := fs.ReadFile(sources, file)
	if err == nil {
		err = yaml.Unmarshal(text, &chart)
	}
	if err == nil && chart.Name == "" {
		err = errors.New("has no name")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return chart.Name, nil
}

// Release checks the release in a folder. Its digests have been checked before.
func Release(s release.Stored, w Wanted) []Finding {
	found := Image(s, w)
	found = append(found, chartsOf(s, w)...)
	if s.Chart != nil {
		found = append(found, Finding{Object: "chart", Aspect: "pin", Err: Pin(s)})
	}
	for i, a := range s.Result.Applications {
		found = append(found, Finding{Object: "chart " + a.Name, Aspect: "library", Err: checkLibrary(s.Applications[i], s.Chart)})
	}
	return found
}

// Image checks an image, whose digests have been checked before, and the documents about
// it.
func Image(s release.Stored, w Wanted) []Finding {
	found := identity(s, w)
	programs := map[string]map[string]string{}
	add := func(object, aspect string, err error) {
		found = append(found, Finding{Object: object, Aspect: aspect, Err: err})
	}
	index, err := decode[v1.IndexManifest](s.Index.Bytes)
	if err == nil {
		err = samePlatforms(index, s.Result)
	}
	add("image index", "platforms", err)
	recipe := w.recipe(s)
	if recipe == nil {
		found = append(found, Finding{Object: "image index", Aspect: "recipe", Note: "is not known here: any files are accepted that the bills name"})
	}
	for i, p := range s.Result.Image.Platforms {
		child := s.Children[i]
		config, err := checkConfig(child.Config, p, index.Annotations, recipe)
		add(p.Platform, "configuration", err)
		err = checkLayer(child, config, p, recipe)
		add(p.Platform, "layer", err)
		if err == nil {
			add(p.Platform, "program", checkPrograms(child, config, s.Result.Toolchain, recipe))
			programs[p.Platform] = map[string]string{}
			for _, f := range child.Files {
				programs[p.Platform][f.Path] = f.Digest
			}
		}
	}
	for _, subject := range subjectsOf(s, programs) {
		found = append(found, Attestations(subject, w.Key)...)
	}
	return append(found, noted(s.Notes)...)
}

// Unsigned checks that the key has signed the index and its provenance, before anything
// that the index leads to is read. It returns no finding where it has.
func Unsigned(s release.Stored, w Wanted) []Finding {
	if w.Key == nil {
		return nil
	}
	index := subjectsOf(s, nil)[0]
	_, err := provenanceOf(index, w.Key)
	if err == nil {
		err = checkSignature(index, *w.Key)
	}
	if err == nil {
		return nil
	}
	found := append(identity(s, w), Attestations(index, w.Key)...)
	found = append(found, Finding{Object: "image index", Aspect: "platforms", Err: errors.New("are not looked at, because the index is not signed")})
	return append(found, noted(s.Notes)...)
}

func noted(notes []string) []Finding {
	var found []Finding
	for _, note := range notes {
		found = append(found, Finding{Object: "note", Aspect: "documents", Note: note})
	}
	return found
}

// identity compares the name and the version in the index with those that were asked for.
func identity(s release.Stored, w Wanted) []Finding {
	index, err := decode[v1.IndexManifest](s.Index.Bytes)
	if err != nil {
		return []Finding{{Object: "image index", Aspect: "name", Err: err}}
	}
	name, version := index.Annotations[ocispec.AnnotationTitle], index.Annotations[ocispec.AnnotationVersion]
	return []Finding{
		{Object: "image index", Aspect: "name", Err: errors.Join(sameName(name, w.Name), sameName(name, s.Result.Image.Name))},
		{Object: "image index", Aspect: "version", Err: errors.Join(sameVersion(version, w.Tag), sameVersion(version, release.Tag(s.Result.Version)))},
	}
}

// sameName compares a name with the one asked for; "" asks for none.
func sameName(name, asked string) error {
	switch {
	case name == "":
		return errors.New("is missing")
	case asked != "" && name != asked:
		return fmt.Errorf("is %q, and %q was asked for", name, asked)
	}
	return nil
}

// versionShaped matches a tag that names a version, or the first numbers of one.
var versionShaped = regexp.MustCompile(`^v?[0-9]+\.[0-9]+`)

// sameVersion compares a version with the tag that was asked for, where that names a
// version: 1.2.3 and v1.2.3 name one version, 1.2 names every version that begins so.
func sameVersion(version, tag string) error {
	if version == "" {
		return errors.New("is missing")
	}
	got, asked := release.Tag(version), strings.TrimPrefix(tag, "v")
	if !versionShaped.MatchString(tag) || got == asked {
		return nil
	}
	if parts := strings.Count(asked, "."); parts == 1 && strings.HasPrefix(got, asked+".") {
		return nil
	}
	return fmt.Errorf("is %s, and the tag %s was asked for", version, tag)
}

func decode[T any](text []byte) (value T, err error) {
	err = json.Unmarshal(text, &value)
	return value, err
}

// samePlatforms compares the index with the list of the release.
func samePlatforms(index v1.IndexManifest, r release.Result) error {
	var listed, indexed []string
	for _, p := range r.Image.Platforms {
		listed = append(listed, p.Platform+" "+p.Digest)
	}
	for _, d := range index.Manifests {
		if d.Platform == nil {
			return fmt.Errorf("manifest %s has no platform", d.Digest)
		}
		indexed = append(indexed, d.Platform.String()+" "+d.Digest.String())
	}
	if !slices.Equal(listed, indexed) {
		return fmt.Errorf("has %s, the list %s", strings.Join(indexed, ", "), strings.Join(listed, ", "))
	}
	return nil
}

// checkConfig compares the configuration of a platform with the list and with what
// a build writes, and returns it.
func checkConfig(config image.Blob, p release.Platform, annotations map[string]string, recipe *image.Recipe) (v1.Config, error) {
	c, err := decode[v1.ConfigFile](config.Bytes)
	if err != nil {
		return c.Config, err
	}
	uid, _, _ := strings.Cut(c.Config.User, ":")
	switch n, err := strconv.Atoi(uid); {
	case c.Platform().String() != p.Platform:
		return c.Config, fmt.Errorf("is for %s", c.Platform())
	case err != nil || n == 0:
		return c.Config, fmt.Errorf("user %q is not a number other than 0", c.Config.User)
	case len(c.Config.Entrypoint) == 0:
		return c.Config, errors.New("has no entrypoint")
	case len(c.RootFS.DiffIDs) != 1 || c.RootFS.DiffIDs[0].String() != p.DiffID:
		return c.Config, fmt.Errorf("names layers %v, the list %s", c.RootFS.DiffIDs, p.DiffID)
	}
	want := v1.Config{
		Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, User: c.Config.User, WorkingDir: "/", Labels: annotations,
	}
	if recipe != nil {
		want.Entrypoint, want.Cmd, want.User = recipe.Entrypoint, recipe.Command, recipe.User
	}
	switch {
	case !slices.Equal(c.Config.Entrypoint, want.Entrypoint) || !slices.Equal(c.Config.Cmd, want.Cmd):
		return c.Config, fmt.Errorf("runs %q, and the recipe says %q", slices.Concat(c.Config.Entrypoint, c.Config.Cmd), slices.Concat(want.Entrypoint, want.Cmd))
	case c.Config.User != want.User:
		return c.Config, fmt.Errorf("has the user %q, and the recipe says %q", c.Config.User, want.User)
	case !maps.Equal(c.Config.Labels, want.Labels):
		return c.Config, errors.New("has other labels than the index has annotations")
	}
	want.Cmd = c.Config.Cmd // an empty list and none are the same
	if !reflect.DeepEqual(c.Config, want) {
		return c.Config, errors.New("has settings that no build writes, such as variables or volumes")
	}
	return c.Config, nil
}

// checkLayer requires that the layer of a platform holds the files of the recipe and no
// others.
func checkLayer(child release.Child, config v1.Config, p release.Platform, recipe *image.Recipe) error {
	switch {
	case child.Wrong != nil:
		return child.Wrong
	case child.DiffID != p.DiffID:
		return fmt.Errorf("unpacks to %s, not %s", child.DiffID, p.DiffID)
	case len(config.Entrypoint) == 0:
		return errors.New("has no entrypoint to look for")
	}
	program, ok := child.File(config.Entrypoint[0])
	if !ok {
		return fmt.Errorf("has no file %s", config.Entrypoint[0])
	}
	if recipe != nil {
		if err := onlyFiles(child, recipe.Files()); err != nil {
			return err
		}
	}
	if p.Program.Digest != "" && program.Content != p.Program {
		return fmt.Errorf("%s is %s of %d bytes, the list says %s of %d", program.Path, program.Digest, program.Size, p.Program.Digest, p.Program.Size)
	}
	return nil
}

// onlyFiles compares the files of a layer with the paths that it has to have.
func onlyFiles(child release.Child, paths []string) error {
	for _, path := range paths {
		if _, ok := child.File(path); !ok {
			return fmt.Errorf("has no file %s", path)
		}
	}
	for _, f := range child.Files {
		if !slices.Contains(paths, f.Path) {
			return fmt.Errorf("has the file %s, which is not in the recipe", f.Path)
		}
	}
	return nil
}

// checkPrograms requires that the programs in the layer are static and made for the
// platform. Where the recipe of the image is not known it checks only the program that the
// image starts.
func checkPrograms(child release.Child, config v1.Config, toolchain string, recipe *image.Recipe) error {
	for _, f := range child.Files {
		started := f.Path == config.Entrypoint[0]
		dynamic := recipe != nil && recipe.Download != nil && recipe.Download.Dynamic && f.Path == recipe.Download.Path
		switch {
		case recipe == nil && !started:
			continue
		case f.Wrong != nil && !(dynamic && errors.Is(f.Wrong, elfcheck.ErrDynamic)):
			if started {
				return f.Wrong
			}
			return fmt.Errorf("%s %w", f.Path, f.Wrong)
		case started && f.Toolchain == "":
			return errors.New("was not compiled by Go")
		// An image in a registry has no list beside it.
		case started && toolchain != "" && f.Toolchain != toolchain:
			return fmt.Errorf("was compiled by %s, the list says %s", f.Toolchain, toolchain)
		}
	}
	return nil
}

// Locked compares the binary of another project, which is at a path in the layers, with the
// lock file of the image, for each platform.
func Locked(s release.Stored, path string, lock map[string]release.Content) []Finding {
	var found []Finding
	for i, p := range s.Result.Image.Platforms {
		found = append(found, Finding{Object: p.Platform, Aspect: "lock", Err: checkLocked(s.Children[i], path, lock[p.Platform])})
	}
	return found
}

func checkLocked(child release.Child, path string, want release.Content) error {
	if child.Wrong != nil {
		return child.Wrong
	}
	file, ok := child.File(path)
	switch {
	case !ok:
		return fmt.Errorf("has no file %s", path)
	case file.Content != want:
		return fmt.Errorf("has %s as %s of %d bytes, and %q of %d bytes is pinned", path, file.Digest, file.Size, want.Digest, want.Size)
	}
	return nil
}

// chartsOf compares the charts in a folder with those that are released with the image, and
// each of them with its entry in the list.
func chartsOf(s release.Stored, w Wanted) []Finding {
	var found []Finding
	listed := s.Result.Charts()
	archives := append([][]byte{s.Chart}, s.Applications...)
	if s.Chart == nil {
		archives = s.Applications
	}
	recipe := w.recipe(s)
	var library string
	var applications []string
	if recipe != nil && recipe.InCharts {
		var err error
		if library, applications, err = w.charts(); err != nil {
			return append(found, Finding{Object: "chart", Aspect: "name", Err: err})
		}
	}
	for i, c := range listed {
		err := chart.Is(archives[i], c.Name, c.Version)
		switch {
		case err != nil || recipe == nil:
		case c.Name != library && !slices.Contains(applications, c.Name):
			err = errors.New("is not of this release")
		case c.Version != s.Result.Version:
			err = fmt.Errorf("has version %s, and the release has version %s", c.Version, s.Result.Version)
		}
		found = append(found, Finding{Object: "chart " + c.Name, Aspect: "name", Err: err})
	}
	missing := func(name string) {
		found = append(found, Finding{Object: "chart " + name, Aspect: "archive", Err: errors.New("is missing, and is released with the image")})
	}
	if library != "" && (s.Result.Chart == nil || s.Result.Chart.Name != library) {
		missing(library)
	}
	for _, name := range applications {
		if !slices.ContainsFunc(s.Result.Applications, func(p release.Packed) bool { return p.Name == name }) {
			missing(name)
		}
	}
	return found
}

// Pin compares the digest in the library chart with that of the image.
func Pin(s release.Stored) error {
	pinned, err := chart.PinnedDigest(s.Chart)
	if err == nil && pinned != s.Result.Image.Digest {
		err = fmt.Errorf("is to %q, not to %s", pinned, s.Result.Image.Digest)
	}
	return err
}

// checkLibrary checks that an application chart carries the library chart of the same
// release, and so the same pin.
func checkLibrary(archive, library []byte) error {
	carried, err := chart.LibraryIn(archive)
	if err == nil && !bytes.Equal(carried, library) {
		err = errors.New("is not the library chart of this release")
	}
	return err
}

// Rebuilt compares a release with what the sources give now. Where digests differ it looks
// further into both, until it can say what differs.
func Rebuilt(s release.Stored, index *image.Index) []Finding {
	var found []Finding
	for i, p := range s.Result.Image.Platforms {
		found = append(found, Finding{Object: p.Platform, Aspect: "rebuild", Err: compareChild(p, s.Children[i], index)})
	}
	var err error
	if got := index.Blob.Descriptor.Digest.String(); got != s.Result.Image.Digest {
		err = fmt.Errorf("rebuilt is %s, not %s", got, s.Result.Image.Digest)
	}
	return append(found, Finding{Object: "image index", Aspect: "rebuild", Err: err})
}

// Repacked compares the charts of a release with those that the sources give now.
func Repacked(s release.Stored, charts []chart.Archive) []Finding {
	stored := append([][]byte{s.Chart}, s.Applications...)
	var found []Finding
	for i, listed := range s.Result.Charts() {
		err := errors.New("was not packed again")
		for _, c := range charts {
			switch {
			case c.FileName() != path.Base(listed.Path):
			case bytes.Equal(c.Bytes, stored[i]):
				err = nil
			default:
				err = errors.New("the files differ from those of the sources")
			}
		}
		found = append(found, Finding{Object: "chart " + listed.Name, Aspect: "rebuild", Err: err})
	}
	return found
}

func compareChild(p release.Platform, stored release.Child, index *image.Index) error {
	for _, c := range index.Children {
		if c.Platform.Name != p.Platform {
			continue
		}
		switch {
		case image.NewBlob("", c.Program).Descriptor.Digest.String() != programDigest(p, stored):
			return errors.New("the program differs")
		case c.DiffID.String() != p.DiffID:
			return errors.New("the program is the same, the layer around it differs")
		case c.Layer.Descriptor.Digest != stored.Layer.Descriptor.Digest:
			return errors.New("the content is the same, only its compression differs")
		case c.Config.Descriptor.Digest.String() != p.Config.Digest:
			return errors.New("the layer is the same, the configuration differs")
		}
		return nil
	}
	return errors.New("was not rebuilt")
}

// programDigest returns the digest of the file that the image starts, or "" where there is
// no such file, which is a finding about the layer already.
func programDigest(p release.Platform, stored release.Child) string {
	if p.Program.Digest != "" {
		return p.Program.Digest
	}
	c, err := decode[v1.ConfigFile](stored.Config.Bytes)
	if err != nil || len(c.Config.Entrypoint) == 0 {
		return ""
	}
	program, _ := stored.File(c.Config.Entrypoint[0])
	return program.Digest
}
