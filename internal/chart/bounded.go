package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/jobmesh/jobmesh/internal/helm"
)

// These are the limits for a packed chart of an unknown author. The charts of jobmesh have some
// 40 files of 150 thousand bytes together.
const (
	// maxFiles is the largest number of files.
	maxFiles = 512
	// maxUnpacked is the largest size of all files together, in bytes.
	maxUnpacked = 8 << 20
)

// loadArchive loads a packed chart as Helm does, after the checks of bounded.
func loadArchive(archive []byte) (*helm.Chart, error) {
	if err := bounded(archive, true); err != nil {
		return nil, err
	}
	return helm.LoadArchive(archive)
}

// Is returns an error unless a packed chart has this name and version.
func Is(archive []byte, name, version string) error {
	c, err := loadArchive(archive)
	switch {
	case err != nil:
		return err
	case c.Metadata == nil || c.Metadata.Name != name || c.Metadata.Version != version:
		return fmt.Errorf("is not %s %s", name, version)
	}
	return nil
}

// bounded refuses an archive that needs far more memory than its size when Helm loads it, or in
// which two readers may see different files. Helm also unpacks archives inside an archive, each
// up to a hundred megabytes. The parameter carrying allows one such archive, the library in an
// application chart.
func bounded(archive []byte, carrying bool) error {
	packed, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("is not a packed chart: %w", err)
	}
	left := &io.LimitedReader{R: packed, N: maxUnpacked}
	seen := map[string]bool{}
	top := ""
	for files := tar.NewReader(left); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) && left.N > 0 {
			return nil
		}
		if err == nil {
			if top == "" {
				top, _, _ = strings.Cut(header.Name, "/")
			}
			err = checkFile(header, top, seen)
		}
		if left.N <= 0 {
			err = fmt.Errorf("unpacks to more than %d bytes", maxUnpacked)
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeDir || !strings.HasPrefix(header.Name, top+"/charts/") {
			continue
		}
		content, err := io.ReadAll(files)
		if err == nil && !carrying {
			err = errors.New("contains another chart, which is not allowed")
		}
		if err == nil {
			err = bounded(content, false)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
		carrying = false // a second one is refused
	}
}

// checkFile accepts a regular file or a folder, below the folder of the chart, once.
func checkFile(h *tar.Header, top string, seen map[string]bool) error {
	name := strings.TrimSuffix(h.Name, "/")
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return fmt.Errorf("has %q, which is not a regular file", h.Name)
	case name != path.Clean(name) || !fs.ValidPath(name) || strings.Contains(name, `\`) || name != top && !strings.HasPrefix(name, top+"/"):
		return fmt.Errorf("has %q, which is not the plain path of a file in %s", h.Name, top)
	case seen[name]:
		return fmt.Errorf("has %q twice", h.Name)
	case len(seen) == maxFiles:
		return fmt.Errorf("has more than %d files", maxFiles)
	}
	seen[name] = true
	return nil
}
