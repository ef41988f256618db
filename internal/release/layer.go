package release

import (
	"bytes"
	"debug/buildinfo"

	"github.com/jobmesh/jobmesh/internal/elfcheck"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A LayerFile is what was found out about a file in the layer of a platform.
type LayerFile struct {
	// Path is the path in the image, such as /jobmesh-wrap.
	Path string
	Content
	// Wrong says why it is not a static program for the platform, and is nil where it is one.
	Wrong error
	// Toolchain is the release of Go that compiled it, and "" where it was not compiled by Go.
	Toolchain string
}

// unpack examines the layer of a child. It keeps only the results, because the programs of all
// platforms together would take too much memory.
func (c *Child) unpack(platform string) {
	content, err := image.ReadLayer(c.Layer)
	if err != nil {
		c.Wrong = err
		return
	}
	c.DiffID = content.DiffID.String()
	for _, f := range content.Files {
		file := LayerFile{Path: f.Path, Content: contentOf(f.Bytes), Wrong: elfcheck.Static(f.Bytes, platform)}
		if info, err := buildinfo.Read(bytes.NewReader(f.Bytes)); err == nil {
			file.Toolchain = info.GoVersion
		}
		c.Files = append(c.Files, file)
	}
}

// File returns the file with that path, if the layer has it.
func (c Child) File(path string) (LayerFile, bool) {
	for _, f := range c.Files {
		if f.Path == path {
			return f, true
		}
	}
	return LayerFile{}, false
}
