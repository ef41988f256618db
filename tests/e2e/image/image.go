// Package image makes the small images of the tests, and pushes images to a registry. It needs no container engine,
// since an image is a tar of a few files.
package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nobody is the user of the images if a pod sets none.
const nobody = "65532:65532"

// entry is a file of a layer: a program, or a link to one.
type entry struct {
	name    string
	content []byte
	link    string
}

// OfProgram makes an image with a static program, /name, as its entrypoint.
func OfProgram(file, name string) (v1.Image, error) {
	content, err := staticProgram(file)
	if err != nil {
		return nil, err
	}
	return assemble([]entry{{name: name, content: content}}, v1.Config{Entrypoint: []string{"/" + name}, User: nobody})
}

// OfDynamicProgram makes an image with a program, /name, as its entrypoint. The image also has the shared libraries of
// this machine that the program needs, and more files.
func OfDynamicProgram(file, name string, more map[string]string) (v1.Image, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	entries := []entry{{name: name, content: content}}
	libraries, err := librariesOf(file)
	if err != nil {
		return nil, err
	}
	for _, library := range libraries {
		if content, err = os.ReadFile(library); err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: strings.TrimPrefix(library, "/"), content: content})
	}
	for name, content := range more {
		entries = append(entries, entry{name: name, content: []byte(content)})
	}
	return assemble(entries, v1.Config{Entrypoint: []string{"/" + name}, User: nobody})
}

// loaded matches a file in the output of ldd: a library that was found, or the dynamic linker.
var loaded = regexp.MustCompile(`(/\S+) \(0x[0-9a-f]+\)`)

func librariesOf(program string) ([]string, error) {
	output, err := exec.Command("ldd", program).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w: %s", program, err, bytes.TrimSpace(output))
	}
	if missing := bytes.Contains(output, []byte("not found")); missing {
		return nil, fmt.Errorf("%s: this machine lacks a library of it:\n%s", program, output)
	}
	var files []string
	for _, match := range loaded.FindAllSubmatch(output, -1) {
		files = append(files, string(match[1]))
	}
	return files, nil
}

// WithProgram adds a static program, /name, to an image.
func WithProgram(img v1.Image, name string, content []byte) (v1.Image, error) {
	layer, err := layerOf([]entry{{name: name, content: content}})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layer)
}

// OfShell makes an image with busybox, and a link in /bin for each of its programs.
func OfShell(busybox string) (v1.Image, error) {
	content, err := staticProgram(busybox)
	if err != nil {
		return nil, err
	}
	list, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w", busybox, err)
	}
	entries := []entry{{name: "bin/busybox", content: content}}
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			entries = append(entries, entry{name: path.Join("bin", applet), link: "busybox"})
		}
	}
	return assemble(entries, v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}, User: nobody})
}

// staticProgram reads a program and checks that it needs no other file, since its image has no other.
func staticProgram(file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	program, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return nil, fmt.Errorf("%s: it is linked dynamically and would not start in an image of its own", file)
	}
	return content, nil
}

func assemble(entries []entry, config v1.Config) (v1.Image, error) {
	layer, err := layerOf(entries)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, file)
}

func layerOf(entries []entry) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return static.NewLayer(archive.Bytes(), types.DockerUncompressedLayer), nil // uncompressed, because the registry is on this machine
}
