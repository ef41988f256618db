package release

import (
	"bytes"
	"debug/buildinfo"

	"github.com/jobmesh/jobmesh/internal/elfcheck"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A LayerFile is what is known of a file in the layer of a platform.
type LayerFile struct {
	// Path is where it stands in the image, as in /jobmesh-wrap.
	Path string
	Content
	// Wrong says why it is no static program for the platform, nil where it is one.
	Wrong error
	// Toolchain is the release of Go that it was compiled by, "" for one that was not
	// made by Go.
	Toolchain string
}

// unpack looks into the layer of a child. Only what was found out is kept: the
// programs of all platforms together would be too much to hold.
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

// File returns the file of a path, if the layer has it.
func (c Child) File(path string) (LayerFile, bool) {
	for _, f := range c.Files {
		if f.Path == path {
			return f, true
		}
	}
	return LayerFile{}, false
}
