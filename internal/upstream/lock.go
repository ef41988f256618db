// Package upstream pins release binaries of other projects: it records, with size and hash,
// which file of which release goes into an image for each platform. Only jobmesh lock asks
// upstream what exists; a build accepts the pinned files and nothing else.
package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/download"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// A Lock is the content of images/NAME/image.lock.
type Lock struct {
	// Recipe is a hash of the part of image.yaml that describes the download. The lock of
	// another description is stale.
	Recipe string `json:"recipe"`
	// Tag and Version identify the release, as upstream writes them.
	Tag     string `json:"tag"`
	Version string `json:"version"`
	// Files are in the order of the platforms in image.yaml.
	Files []Locked `json:"files"`
	// Missing are the platforms for which upstream has no file.
	Missing []string `json:"missing,omitempty"`
}

// A Locked is the file of one platform.
type Locked struct {
	Platform string `json:"platform"`
	URL      string `json:"url"`
	// Size is the size in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (l Locked) pin() download.Pin { return download.Pin{SHA256: l.SHA256, Size: l.Size} }

// Path returns the path of the lock file of an image.
func Path(sources, name string) string { return filepath.Join(sources, "images", name, "image.lock") }

// shown returns the path as errors name it.
func shown(name string) string { return "images/" + name + "/image.lock" }

// stamp returns the hash of the recipe's download and platforms.
func stamp(r image.Recipe) string {
	text, err := json.Marshal(struct {
		*image.Download
		Platforms []string `json:"platforms"`
	}{r.Download, r.Platforms})
	if err != nil {
		panic(err) // cannot happen: strings and numbers can always be encoded
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Load reads the lock of an image. It is a fault.Input error if the lock does not exist or does
// not match image.yaml.
func Load(sources string, r image.Recipe) (Lock, error) {
	var l Lock
	again := "jobmesh lock " + r.Name + " writes it, and needs to reach upstream"
	text, err := os.ReadFile(Path(sources, r.Name))
	if errors.Is(err, os.ErrNotExist) {
		return l, fault.New(fault.Input, fmt.Errorf("image %s: %s is not pinned: there is no %s", r.Name, r.Download.Name, shown(r.Name)), again)
	}
	if err != nil {
		return l, err
	}
	if err := yaml.UnmarshalStrict(text, &l); err != nil {
		return l, fault.New(fault.Input, fmt.Errorf("%s: %w", shown(r.Name), err), again)
	}
	if l.Recipe != stamp(r) {
		return l, fault.New(fault.Input, fmt.Errorf("%s is stale: image.yaml has changed since it was written", shown(r.Name)), again)
	}
	if err := l.check(r); err != nil {
		return l, fault.New(fault.Input, err, again)
	}
	return l, nil
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check finds mistakes that an edit by hand may make.
func (l Lock) check(r image.Recipe) error {
	var wrong []error
	var listed []string
	for _, f := range l.Files {
		listed = append(listed, f.Platform)
		url, err := r.Download.URL(f.Platform)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %s: %w", shown(r.Name), f.Platform, err))
		case f.URL != url:
			wrong = append(wrong, fmt.Errorf("%s: %s: url is %s, and image.yaml says %s", shown(r.Name), f.Platform, f.URL, url))
		case !hexadecimal.MatchString(f.SHA256) || f.Size <= 0 || f.Size > r.Download.Limit():
			wrong = append(wrong, fmt.Errorf("%s: %s: sha256 or size is not valid", shown(r.Name), f.Platform))
		}
	}
	for _, p := range l.Missing {
		listed = append(listed, p)
		if !slices.Contains(r.Download.AllowMissing, p) {
			wrong = append(wrong, fmt.Errorf("%s: %s is missing, and image.yaml does not allow that", shown(r.Name), p))
		}
	}
	want := slices.Clone(r.Platforms)
	slices.Sort(want)
	slices.Sort(listed)
	if !slices.Equal(want, listed) {
		wrong = append(wrong, fmt.Errorf("%s: is for %s, and image.yaml for %s", shown(r.Name), strings.Join(listed, ", "), strings.Join(want, ", ")))
	}
	return errors.Join(wrong...)
}

// Encode returns the text of the file. The same lock gives the same bytes.
func (l Lock) Encode(name string) ([]byte, error) {
	text, err := yaml.Marshal(l)
	if err != nil {
		return nil, err
	}
	heading := fmt.Sprintf("# Written by jobmesh lock %s: what upstream released, to the byte. Not edited by hand.\n", name)
	return append([]byte(heading), text...), nil
}

// Write writes the lock of an image in one step, and returns whether that has changed the file.
func (l Lock) Write(sources, name string) (changed bool, err error) {
	text, err := l.Encode(name)
	if err != nil {
		return false, err
	}
	path := Path(sources, name)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return false, nil
	}
	return true, replace.File(path, text, 0o644)
}
