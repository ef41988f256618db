package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxUnpacked is the largest size of an unpacked layer, in bytes: a third more than the
	// largest program that is built here, the command line.
	maxUnpacked = 80 << 20
	// maxEntries is the largest number of entries in a layer. The layers of jobmesh have two or
	// three.
	maxEntries = 64
	// maxWindow is the most memory that a zstd frame may ask for, in bytes.
	maxWindow = 32 << 20
	// maxPadding is the largest number of zeros behind the last entry: one tar record.
	maxPadding = 20 * 512
)

// FileMode is the mode of every file in a layer: any user of a pod may execute it, and nobody
// may change it.
const FileMode = 0o555

// A LayerFile is a file that was read from a layer.
type LayerFile struct {
	// Path is the path in the image, such as /jobmesh-wrap.
	Path  string
	Bytes []byte
}

// A LayerContent is the content of a layer.
type LayerContent struct {
	// DiffID is the digest of the uncompressed layer.
	DiffID v1.Hash
	Files  []LayerFile
}

// ReadLayer reads a layer strictly. The layer has to contain regular files, each once and with
// FileMode, and the folders of these files, and nothing else. So two readers cannot see
// different files: a runtime takes the last of several entries with one name, a link leads
// elsewhere, and an extended attribute may give rights.
func ReadLayer(layer Blob) (LayerContent, error) {
	var c LayerContent
	in, err := unpacker(layer.Descriptor.MediaType, layer.Bytes)
	if err != nil {
		return c, err
	}
	defer func() { _ = in.Close() }() // nothing was written to it
	sum := sha256.New()
	all := &bounded{in: io.TeeReader(in, sum), left: maxUnpacked}
	if c.Files, err = readEntries(tar.NewReader(all)); err != nil {
		return c, err
	}
	if err := onlyZeros(all); err != nil {
		return c, err
	}
	c.DiffID = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return c, nil
}

// readEntries reads the files of a layer and checks each entry.
func readEntries(entries *tar.Reader) ([]LayerFile, error) {
	var files []LayerFile
	var folders []string
	seen := map[string]bool{}
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return files, holdFiles(folders, files)
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(header.Name, "/")
		switch {
		case seen[name]:
			return nil, fmt.Errorf("has %q twice", name)
		case len(seen) == maxEntries:
			return nil, fmt.Errorf("has more than %d entries", maxEntries)
		}
		seen[name] = true
		if err := checkEntry(header); err != nil {
			return nil, fmt.Errorf("has %q, which %w", header.Name, err)
		}
		if header.Typeflag == tar.TypeDir {
			folders = append(folders, header.Name)
			continue
		}
		if header.Size > maxUnpacked {
			return nil, errUnpacked
		}
		content := make([]byte, header.Size)
		if _, err := io.ReadFull(entries, content); err != nil {
			return nil, err
		}
		files = append(files, LayerFile{Path: "/" + name, Bytes: content})
	}
}

// checkEntry refuses an entry that layerTar would not write.
func checkEntry(h *tar.Header) error {
	folder := h.Typeflag == tar.TypeDir
	clean := h.Name
	if folder {
		clean = strings.TrimSuffix(clean, "/")
	}
	mode := int64(FileMode)
	if folder {
		mode = folderMode
	}
	switch {
	case !folder && h.Typeflag != tar.TypeReg:
		return errors.New("is neither a regular file nor a folder")
	case clean != path.Clean(clean) || !fs.ValidPath(clean) || clean == ".":
		return errors.New("is not the plain path of a file")
	case strings.HasPrefix(path.Base(clean), ".wh."):
		return errors.New("removes a file of another layer")
	case h.Mode != mode:
		return fmt.Errorf("has mode %#o, not %#04o", h.Mode, mode)
	case h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "":
		return errors.New("belongs to somebody")
	case len(h.PAXRecords) > 0:
		return errors.New("has attributes")
	}
	return nil
}

// holdFiles refuses a folder without a file in it.
func holdFiles(folders []string, files []LayerFile) error {
	for _, folder := range folders {
		used := false
		for _, f := range files {
			used = used || strings.HasPrefix(f.Path, "/"+folder)
		}
		if !used {
			return fmt.Errorf("has the folder %q without a file in it", folder)
		}
	}
	return nil
}

// onlyZeros refuses anything but padding behind the last entry.
func onlyZeros(in io.Reader) error {
	rest, err := io.ReadAll(io.LimitReader(in, maxPadding+1))
	switch {
	case err != nil:
		return err
	case len(rest) > maxPadding || len(bytes.Trim(rest, "\x00")) > 0:
		return errors.New("has data behind its last entry")
	}
	return nil
}

var errUnpacked = fmt.Errorf("unpacks to more than %d bytes", int64(maxUnpacked))

// A bounded reader ends with an error, not with io.EOF, where the content is longer.
type bounded struct {
	in   io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errUnpacked
	}
	return n, err
}

// Unpack returns the uncompressed content of a layer with that media type.
func Unpack(mediaType types.MediaType, packed []byte) ([]byte, error) {
	in, err := unpacker(mediaType, packed)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // nothing was written to it
	return io.ReadAll(&bounded{in: in, left: maxUnpacked})
}

// unpacker returns a reader of a layer's uncompressed content.
func unpacker(mediaType types.MediaType, packed []byte) (io.ReadCloser, error) {
	switch mediaType {
	case types.OCILayer:
		return gzip.NewReader(bytes.NewReader(packed))
	case types.OCILayerZStd:
		r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("is of the type %q, not of a layer in gzip or zstd", mediaType)
}
