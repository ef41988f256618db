package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/regular"
	"github.com/jobmesh/jobmesh/internal/secret"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// maxSettings is the largest size of a settings file, in bytes.
const maxSettings = 1 << 20

// imageVariable is the environment variable that names the wrapper's image: REPOSITORY or
// REPOSITORY@DIGEST.
const imageVariable = "JOBMESH_IMAGE"

// imageKeys are the keys of image in jobmesh.yaml.
var imageKeys = []string{"registry", "repository", "digest"}

// settings is the content of a settings file.
type settings struct {
	// name is the name of the file.
	name string
	// lint has the keys that lint reads, with their values as they are written: 2.20 is a
	// version, not a number.
	lint map[string]string
	// image is the wrapper's image, as far as the file names it.
	image inject.Image
	// helpers are programs beside the work, which what judges pods has to know.
	helpers []sidecar.Helper
}

// readSettings reads the file, or jobmesh.yaml where file is empty; that one may be missing. A
// jobmesh.yaml with an apiVersion belongs to another program, such as a transformer of
// kustomize, and is ignored.
func readSettings(file string) (settings, error) {
	s := settings{name: cmp.Or(file, manifest.SettingsFile)}
	read := regular.ReadAny // a file that the user has named may be a pipe of the shell
	if file == "" {
		read = regular.ReadFile
	}
	text, err := read(s.name, maxSettings)
	if errors.Is(err, fs.ErrNotExist) && file == "" {
		return s, nil
	}
	if err != nil {
		return s, fault.New(fault.LocalIO, err)
	}
	root, err := s.mapping(text)
	if root == nil || err != nil {
		return s, err
	}
	if version := manifest.Get(root, "apiVersion"); version != nil {
		if file == "" {
			return s, nil
		}
		return s, s.wrong(version.Line, "is a Kubernetes object, not the settings of jobmesh: it has an apiVersion")
	}
	s.lint = map[string]string{}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if seen[key.Value] {
			return s, s.wrong(key.Line, fmt.Sprintf("%q occurs twice", key.Value))
		}
		seen[key.Value] = true
		switch {
		case value.Tag == "!!null":
		case key.Value == "image":
			if s.image, err = s.readImage(value); err != nil {
				return s, err
			}
		case key.Value == "helpers":
			if s.helpers, err = s.readHelpers(value); err != nil {
				return s, err
			}
		case value.Kind != yaml.ScalarNode:
			return s, s.wrong(value.Line, fmt.Sprintf("%q is not a single value", key.Value))
		default:
			s.lint[key.Value] = value.Value
		}
	}
	return s, nil
}

func (s settings) wrong(line int, cause string) error {
	return fault.New(fault.Usage, fmt.Errorf("%s:%d: %s", s.name, line, cause), "as in mesh: linkerd")
}

// mapping returns the only document of a text, and nil where there is none.
func (s settings) mapping(text []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(&first); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s: %s", s.name, strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	if len(first.Content) == 0 {
		return nil, nil
	}
	root := first.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, s.wrong(root.Line, "is not a mapping of settings")
	}
	if manifest.Get(root, "apiVersion") != nil {
		return root, nil
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, s.wrong(max(second.Line, root.Line), "has more than one document")
	}
	return root, nil
}

// readImage reads the key image: a mapping of strings.
func (s settings) readImage(node *yaml.Node) (inject.Image, error) {
	var image inject.Image
	bad := func(line int, cause string) (inject.Image, error) {
		return image, fault.New(fault.Usage, fmt.Errorf("%s:%d: %s", s.name, line, cause),
			"as in image: {registry: registry.example.com, repository: platform/jobmesh-wrap}")
	}
	if node.Kind != yaml.MappingNode {
		return bad(node.Line, `"image" is no mapping`)
	}
	fields := map[string]*string{"registry": &image.Registry, "repository": &image.Repository, "digest": &image.Digest}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, known := fields[key.Value]
		switch {
		case !known:
			return bad(key.Line, fmt.Sprintf("image: key %q is unknown; the keys are %s", key.Value, strings.Join(imageKeys, ", ")))
		case value.Kind != yaml.ScalarNode:
			return bad(value.Line, fmt.Sprintf("image: %q is not a single value", key.Value))
		case value.Tag != "!!null":
			*field = value.Value
		}
	}
	host := cmp.Or(image.Registry, "registry.example")
	if _, err := parseImage(host + "/" + cmp.Or(image.Repository, "image") + at(image.Digest)); err != nil {
		return bad(node.Line, "image: "+err.Error())
	}
	return image, nil
}

// These are the words for the ways in which a helper in the settings ends; a request may stand
// there, too.
const (
	endsNever  = "never"
	endsItself = "itself"
)

// helperKeys are the keys of an item of helpers in jobmesh.yaml.
var helperKeys = []string{"name", "image", "ends"}

// readHelpers reads the key helpers: a list of mappings of strings.
func (s settings) readHelpers(node *yaml.Node) ([]sidecar.Helper, error) {
	bad := func(line int, cause string) ([]sidecar.Helper, error) {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s:%d: %s", s.name, line, cause),
			"as in helpers: [{name: proxysql, image: example.com/proxysql, ends: never}]",
			"ends is "+endsNever+", "+endsItself+", or the request that ends it, such as POST http://127.0.0.1:9000/quit")
	}
	if node.Kind != yaml.SequenceNode {
		return bad(node.Line, `"helpers" is no list`)
	}
	var helpers []sidecar.Helper
	for _, item := range node.Content {
		if item.Kind != yaml.MappingNode {
			return bad(item.Line, "an item of helpers is not a mapping")
		}
		values := map[string]string{}
		for i := 0; i+1 < len(item.Content); i += 2 {
			key, value := item.Content[i], item.Content[i+1]
			switch {
			case !slices.Contains(helperKeys, key.Value):
				return bad(key.Line, fmt.Sprintf("helpers: key %q is unknown; the keys are %s", key.Value, strings.Join(helperKeys, ", ")))
			case value.Kind != yaml.ScalarNode:
				return bad(value.Line, fmt.Sprintf("helpers: %q is not a single value", key.Value))
			}
			values[key.Value] = value.Value
		}
		h := sidecar.Helper{Name: values["name"], Title: values["name"], Programs: []string{values["name"]}, Images: []string{cmp.Or(values["image"], values["name"])}}
		method, url, _ := strings.Cut(values["ends"], " ")
		switch {
		case h.Name == "":
			return bad(item.Line, "helpers: an item has no name")
		case slices.Contains([]string{"", endsNever}, values["ends"]):
		case values["ends"] == endsItself:
			h.EndedBy = endsItself
		case slices.Contains([]string{"GET", "POST", "PUT"}, method) && strings.HasPrefix(url, "http://"):
			h.Ends = []sidecar.Ending{{Request: values["ends"], Code: sidecar.Unknown}}
		default:
			return bad(item.Line, fmt.Sprintf("helpers: ends %q is unknown", values["ends"]))
		}
		helpers = append(helpers, h)
	}
	return helpers, nil
}

// at returns a digest with the @ that stands behind a repository, and "" for no digest.
func at(digest string) string {
	if digest == "" {
		return ""
	}
	return "@" + digest
}

// parseImage reads REPOSITORY or REPOSITORY@DIGEST.
func parseImage(text string) (inject.Image, error) {
	repository, digest, pinned := strings.Cut(text, "@")
	parsed, err := name.NewRepository(repository)
	if err == nil && pinned {
		_, err = name.NewDigest(text)
	}
	if err != nil {
		secret.HideUserInfo(text)
		return inject.Image{}, fmt.Errorf("%q is not of the form REPOSITORY or REPOSITORY@DIGEST", text)
	}
	registry := parsed.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return inject.Image{Registry: registry, Repository: parsed.RepositoryStr(), Digest: digest}, nil
}

// wrapperImage returns the image that inject writes where no value says otherwise: the one in
// the environment variable, or else the one in the settings, or else the one that was linked
// into the program. A repository without a digest is a copy of the linked image, so it keeps
// that digest.
func wrapperImage(l linked, s settings) (inject.Image, error) {
	image := inject.Image{Digest: l.imageDigest}
	over := []inject.Image{s.image}
	if l.imageRepository != "" {
		built, err := parseImage(l.imageRepository)
		if err != nil {
			return image, fmt.Errorf("the image of this build: %w", err)
		}
		over = append([]inject.Image{built}, over...)
	}
	if text := os.Getenv(imageVariable); text != "" {
		named, err := parseImage(text)
		if err != nil {
			return image, fault.New(fault.Usage, fmt.Errorf("%s: %w", imageVariable, err),
				"as in "+imageVariable+"=registry.example.com/platform/jobmesh-wrap")
		}
		over = append(over, named)
	}
	for _, o := range over {
		image.Registry = cmp.Or(o.Registry, image.Registry)
		image.Repository = cmp.Or(o.Repository, image.Repository)
		image.Digest = cmp.Or(o.Digest, image.Digest)
	}
	return image, nil
}
