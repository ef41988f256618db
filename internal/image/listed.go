package image

import (
	"maps"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/regular"
)

// others returns what a layout lists after the image was put in the place of what
// an earlier build put there: the images, and the attachments of others. An attachment stays as
// long as its subject does, but for those that a build makes itself.
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
			complete = false // whose attachments these are cannot be said
		}
	}
	for _, a := range candidates {
		if !x.replaces(a) && (there[a.Subject.Hex] || !complete) {
			attachments = append(attachments, a.Listed())
		}
	}
	return images, attachments
}

// succeeds reports whether an entry is of the same image and tag, maybe for another
// registry. Side by side the two would have one name to readers who know the tag
// alone: skopeo would take the old one.
func (r Reference) succeeds(entry v1.Descriptor) bool {
	named := ParseReference(entry.Annotations[containerdName])
	return named.Tag == r.Tag && path.Base(named.Repository) == path.Base(r.Repository)
}

// Listed is an attachment in a layout's list. With its subject named there
// containerd's import makes no image of it.
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

// attachmentAt reads what a layout lists, if it is an attachment.
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
