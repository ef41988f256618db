package image

import (
	"maps"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/regular"
)

// others returns the images and attachments in a layout that stay when the image replaces that
// of an earlier build. An attachment stays as long as its subject, unless a build makes that
// attachment itself.
func (x *Index) others(dir string, ref Reference, listed []v1.Descriptor, own v1.Descriptor) (images, attachments []v1.Descriptor) {
	var candidates []Attachment
	placed := false
	for _, d := range listed {
		if ref.succeeds(d) {
			if !placed {
				images, placed = append(images, own), true
			}
			continue
		}
		if a, ok := attachmentAt(dir, d); ok {
			candidates = append(candidates, a)
			continue
		}
		images = append(images, d)
	}
	if !placed {
		images = append(images, own)
	}
	there := map[string]bool{}
	complete := true
	for _, d := range images {
		there[d.Digest.Hex] = true
		if reach(dir, filepath.Join(dir, blobFolder, d.Digest.Hex), there) != nil {
			complete = false // the subjects of its attachments are not known
		}
	}
	for _, a := range candidates {
		if !x.replaces(a) && (there[a.Subject.Hex] || !complete) {
			attachments = append(attachments, a.Listed())
		}
	}
	return images, attachments
}

// succeeds reports whether an entry is the same image with the same tag, perhaps for another
// registry. If both stayed, readers that know only the tag would see one name twice: skopeo
// would take the old image.
func (r Reference) succeeds(entry v1.Descriptor) bool {
	named := ParseReference(entry.Annotations[containerdName])
	return named.Tag == r.Tag && path.Base(named.Repository) == path.Base(r.Repository)
}

// Listed returns the entry of an attachment in a layout's list. It names the subject, so that
// containerd's import does not take it for an image.
func (a Attachment) Listed() v1.Descriptor {
	d := a.Descriptor()
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[containerdSubject] = a.Subject.String()
	return d
}

// replaces reports whether a build of this image makes such an attachment itself.
func (x *Index) replaces(a Attachment) bool {
	for _, own := range x.Attachments {
		if own.Subject == a.Subject && own.Type == a.Type {
			return true
		}
	}
	return false
}

// attachmentAt reads an entry of a layout, and reports whether it is an attachment.
func attachmentAt(dir string, d v1.Descriptor) (Attachment, bool) {
	if d.Annotations[ocispec.AnnotationRefName] != "" || !d.MediaType.IsImage() {
		return Attachment{}, false
	}
	text, err := regular.ReadFile(filepath.Join(dir, blobFolder, d.Digest.Hex), maxNode)
	if err != nil {
		return Attachment{}, false
	}
	a, err := ReadAttachment(text)
	return a, err == nil
}
