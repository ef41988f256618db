package image

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Contents are files of this machine that go into an image, by their names in the image.
type Contents struct {
	Programs map[string]string // the shared libraries that they need are added
	Files    map[string]string
	Links    map[string]string // the target of each link
}

// Of makes an image of several files.
func Of(c Contents, config v1.Config) (v1.Image, error) {
	files := maps.Clone(c.Files)
	if files == nil {
		files = map[string]string{}
	}
	for name, program := range c.Programs {
		files[name] = program
		if _, err := staticProgram(program); err == nil {
			continue
		}
		libraries, err := librariesOf(program)
		if err != nil {
			return nil, err
		}
		maps.Copy(files, inPlace(libraries))
	}
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: name, content: content})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Links)) {
		entries = append(entries, entry{name: name, link: c.Links[name]})
	}
	return assemble(entries, config)
}

// Matching returns the files of this machine that match a pattern. They keep their names.
func Matching(pattern string) (map[string]string, error) {
	found, err := filepath.Glob(pattern)
	return inPlace(found), err
}

func inPlace(files []string) map[string]string {
	named := map[string]string{}
	for _, file := range files {
		named[strings.TrimPrefix(file, "/")] = file
	}
	return named
}
