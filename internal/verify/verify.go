// Package verify tells whether a release is what it says it is: every digest,
// platform, program and pin, and, on demand, whether the sources give the same
// bytes again.
package verify

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/elfcheck"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// A Finding is one thing that was looked at.
type Finding struct {
	// Object is what, such as linux/arm64 or the chart.
	Object string
	// Aspect is what about it.
	Aspect string
	// Note is more to say than ok, where it is.
	Note string
	// Err is nil where it is as it should be.
	Err error
}

// Release looks at a release whose digests have been checked.
func Release(s release.Stored, key *signature.PublicKey) []Finding {
	found := Image(s, key)
	if s.Chart != nil {
		found = append(found, Finding{Object: "chart", Aspect: "pin", Err: Pin(s)})
	}
	for i, a := range s.Result.Applications {
		found = append(found, Finding{Object: "chart " + a.Name, Aspect: "library", Err: checkLibrary(s.Applications[i], s.Chart)})
	}
	return found
}

// Image looks at an image whose digests have been checked, and at the documents
// about it.
func Image(s release.Stored, key *signature.PublicKey) []Finding {
	var found []Finding
	programs := map[string]map[string]string{}
	add := func(object, aspect string, err error) {
		found = append(found, Finding{Object: object, Aspect: aspect, Err: err})
	}
	index, err := decode[v1.IndexManifest](s.Index.Bytes)
	if err == nil {
		err = samePlatforms(index, s.Result)
	}
	add("image index", "platforms", err)
	for i, p := range s.Result.Image.Platforms {
		child := s.Children[i]
		add(p.Platform, "configuration", checkConfig(child.Config, p))
		path, program, err := theProgram(child.Layer, child.Config, p)
		add(p.Platform, "layer", err)
		if err == nil {
			add(p.Platform, "program", errors.Join(elfcheck.Static(program, p.Platform), checkToolchain(program, s.Result.Toolchain)))
			programs[p.Platform] = map[string]string{path: image.NewBlob("", program).Descriptor.Digest.String()}
		}
	}
	for _, subject := range subjectsOf(s, programs) {
		found = append(found, Attestations(subject, key)...)
	}
	return found
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

func checkConfig(config image.Blob, p release.Platform) error {
	c, err := decode[v1.ConfigFile](config.Bytes)
	if err != nil {
		return err
	}
	uid, _, _ := strings.Cut(c.Config.User, ":")
	switch n, err := strconv.Atoi(uid); {
	case c.Platform().String() != p.Platform:
		return fmt.Errorf("is for %s", c.Platform())
	case err != nil || n == 0:
		return fmt.Errorf("user %q is not a number other than 0", c.Config.User)
	case len(c.Config.Entrypoint) == 0:
		return errors.New("has no entrypoint")
	case len(c.RootFS.DiffIDs) != 1 || c.RootFS.DiffIDs[0].String() != p.DiffID:
		return fmt.Errorf("names layers %v, the list %s", c.RootFS.DiffIDs, p.DiffID)
	}
	return nil
}

// theProgram unpacks the layer and returns the file that the entrypoint starts,
// with its path.
func theProgram(layer, config image.Blob, p release.Platform) (string, []byte, error) {
	content, err := image.Unpack(layer.Descriptor.MediaType, layer.Bytes)
	if err != nil {
		return "", nil, err
	}
	if got := image.NewBlob("", content).Descriptor.Digest.String(); got != p.DiffID {
		return "", nil, fmt.Errorf("unpacks to %s, not %s", got, p.DiffID)
	}
	c, err := decode[v1.ConfigFile](config.Bytes)
	if err != nil || len(c.Config.Entrypoint) == 0 {
		return "", nil, errors.Join(err, errors.New("has no entrypoint to look for"))
	}
	path := c.Config.Entrypoint[0]
	mode, program, err := fileIn(content, path)
	if err != nil {
		return "", nil, err
	}
	if mode != 0o555 {
		return "", nil, fmt.Errorf("%s has mode %#o, not 0555", path, mode)
	}
	if got := contentOf(program); p.Program.Digest != "" && got != p.Program {
		err = fmt.Errorf("%s is %s of %d bytes, the list says %s of %d", path, got.Digest, got.Size, p.Program.Digest, p.Program.Size)
	}
	return path, program, err
}

// fileIn returns the mode and the content of a file in an unpacked layer.
func fileIn(layer []byte, path string) (mode int64, content []byte, err error) {
	files := tar.NewReader(bytes.NewReader(layer))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return 0, nil, fmt.Errorf("has no file %s", path)
		}
		if err != nil {
			return 0, nil, err
		}
		if "/"+header.Name == path {
			content, err := io.ReadAll(files)
			return header.Mode, content, err
		}
	}
}

func contentOf(data []byte) release.Content {
	return release.Content{Digest: image.NewBlob("", data).Descriptor.Digest.String(), Size: int64(len(data))}
}

// Locked compares the file of somebody else's, which stands at a path in the layers,
// with what the lock of the image has for each platform.
func Locked(s release.Stored, path string, lock map[string]release.Content) []Finding {
	var found []Finding
	for i, p := range s.Result.Image.Platforms {
		found = append(found, Finding{Object: p.Platform, Aspect: "lock", Err: checkLocked(s.Children[i].Layer, path, lock[p.Platform])})
	}
	return found
}

func checkLocked(layer image.Blob, path string, want release.Content) error {
	content, err := image.Unpack(layer.Descriptor.MediaType, layer.Bytes)
	if err != nil {
		return err
	}
	_, file, err := fileIn(content, path)
	if got := contentOf(file); err == nil && got != want {
		err = fmt.Errorf("has %s as %s of %d bytes, and %q of %d bytes is pinned", path, got.Digest, got.Size, want.Digest, want.Size)
	}
	return err
}

// checkToolchain compares the release of Go that a program carries with the one
// that the list names.
func checkToolchain(program []byte, want string) error {
	info, err := buildinfo.Read(bytes.NewReader(program))
	// An image in a registry has no list beside it.
	if err == nil && want != "" && info.GoVersion != want {
		err = fmt.Errorf("was compiled by %s, the list says %s", info.GoVersion, want)
	}
	return err
}

// Pin compares the digest in the library chart with that of the image.
func Pin(s release.Stored) error {
	pinned, err := chart.PinnedDigest(s.Chart)
	if err == nil && pinned != s.Result.Image.Digest {
		err = fmt.Errorf("is to %q, not to %s", pinned, s.Result.Image.Digest)
	}
	return err
}

// checkLibrary looks whether an application chart carries the library chart of
// the same release, and with it the pin.
func checkLibrary(archive, library []byte) error {
	carried, err := chart.LibraryIn(archive)
	if err == nil && !bytes.Equal(carried, library) {
		err = errors.New("is not the library chart of this release")
	}
	return err
}

// Rebuilt compares what the sources give now with a release, as deep as it takes
// to say what differs.
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

// programDigest is that of the release's list or, where there is only the image,
// of the file in its layer.
func programDigest(p release.Platform, stored release.Child) string {
	if p.Program.Digest != "" {
		return p.Program.Digest
	}
	_, program, err := theProgram(stored.Layer, stored.Config, p)
	if err != nil {
		return "" // which is none, and said of the layer
	}
	return image.NewBlob("", program).Descriptor.Digest.String()
}
