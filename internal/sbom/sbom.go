// Package sbom writes the content of an image as SPDX 2.3 and CycloneDX 1.6.
//
// A bill says what a scanner cannot find out: the version of a stripped program. It depends on
// the image alone. Identifiers, serial numbers and dates are derived from the content, so the
// same image has the same bill wherever it is made.
package sbom

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"net/url"
	"path"
	"runtime/debug"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
)

// These are the media types of the bills.
const (
	SPDX      = "application/spdx+json"
	CycloneDX = "application/vnd.cyclonedx+json"
)

// An Image is the subject of a bill: the image of one platform, an index of several images, or
// an archive.
type Image struct {
	Name, Version string
	// Archive is the name of the file where the subject is an archive, and "" for images.
	Archive string
	// Digest is the digest of the manifest, or of the archive, as in sha256:....
	Digest string
	// Platform is os/architecture[/variant], and "" for an index.
	Platform string
	Created  time.Time
	// License is an SPDX expression, Source is the address of the sources, and Supplier is the
	// publisher. All may be empty.
	License, Source, Supplier string
	// Files are the files in the platform's layer.
	Files []File
	// Children are the images that an index lists.
	Children []Image
}

// A File is a program in an image.
type File struct {
	// Path is the path in the image, such as /jobmesh-wrap.
	Path    string
	Content Content
	// Origin is set for a file that was downloaded, not compiled.
	Origin *Origin
}

// A Content is what a bill says about the bytes of a file.
type Content struct {
	sha1, sha256 string
	// info is nil where the file was not compiled by Go.
	info *debug.BuildInfo
}

// ContentOf examines bytes, once for all bills. Four bills contain a program, and hashing it is
// most of their work.
func ContentOf(data []byte) Content {
	one, two := sha1.Sum(data), sha256.Sum256(data)
	c := Content{sha1: hex.EncodeToString(one[:]), sha256: hex.EncodeToString(two[:])}
	if info, err := buildinfo.Read(bytes.NewReader(data)); err == nil {
		c.info = info
	}
	return c
}

// An Origin says where a downloaded file comes from.
type Origin struct {
	URL, Version, License string
}

// A part is one component in a bill, in terms that both formats have.
type part struct {
	// ref is unique in a bill and allowed as an identifier by both formats.
	ref                        string
	kind                       kind
	name, version, purl        string
	sha1, sha256               string
	license, supplier, address string
	// sum is the checksum of a Go module, as in go.sum.
	sum string
}

type kind int

const (
	container kind = iota
	archive
	file
	program
	library
)

// A relation is between two parts.
type relation struct {
	from string
	is   relationType
	to   string
}

type relationType string

// These are relations with the names of SPDX; CycloneDX has one name for all of them.
const (
	contains      relationType = "CONTAINS"
	generatedFrom relationType = "GENERATED_FROM"
	dependsOn     relationType = "DEPENDS_ON"
	variantOf     relationType = "VARIANT_OF"
)

// A bill is the content of both formats.
type bill struct {
	name, source string
	tool         string
	// id is derived from the name and the digest of the image.
	id        uuid.UUID
	created   time.Time
	subject   part
	others    []part
	relations []relation
}

// billOf lists the content of the image. A part that several platforms share, such as Go's
// standard library, is listed once.
func billOf(x Image) bill {
	b := bill{
		name:    strings.ReplaceAll(strings.Trim(x.Name+"-"+x.Version+"-"+x.Platform, "-"), "/", "-"),
		source:  x.Source,
		tool:    "jobmesh-" + x.Version,
		id:      uuid.NewSHA1(uuid.NameSpaceURL, []byte(purlOf(x))),
		created: x.Created,
		subject: containerOf(x),
	}
	known := map[string]bool{}
	add := func(p part) {
		if !known[p.ref] {
			known[p.ref] = true
			b.others = append(b.others, p)
		}
	}
	seen := map[relation]bool{}
	relate := func(from string, is relationType, to string) {
		if r := (relation{from, is, to}); !seen[r] {
			seen[r] = true
			b.relations = append(b.relations, r)
		}
	}
	for _, c := range x.Children {
		child := containerOf(c)
		add(child)
		relate(child.ref, variantOf, b.subject.ref)
		addFiles(c, child.ref, add, relate)
	}
	addFiles(x, b.subject.ref, add, relate)
	sort.SliceStable(b.others, func(i, j int) bool { return b.others[i].kind < b.others[j].kind })
	return b
}

func addFiles(x Image, owner string, add func(part), relate func(string, relationType, string)) {
	for _, f := range x.Files {
		p := part{
			ref: reference("File", x.Platform, f.Path), kind: file, name: f.Path, version: x.Version, license: x.License,
			sha1: f.Content.sha1, sha256: f.Content.sha256,
		}
		if f.Origin != nil {
			p.version, p.license, p.address = f.Origin.Version, f.Origin.License, f.Origin.URL
		}
		add(p)
		relate(owner, contains, p.ref)
		info := f.Content.info
		if info == nil {
			continue // nothing more is known about the file
		}
		main := mainOf(info, f, x)
		add(main)
		relate(p.ref, generatedFrom, main.ref)
		for _, module := range append([]part{standardLibrary(info.GoVersion)}, dependencies(info)...) {
			add(module)
			relate(main.ref, dependsOn, module.ref)
		}
	}
}

func containerOf(x Image) part {
	p := part{
		ref: reference("Image", x.Platform), kind: container, name: x.Name, version: x.Version,
		sha256: strings.TrimPrefix(x.Digest, "sha256:"), license: x.License, supplier: x.Supplier, address: x.Source,
		purl: purlOf(x),
	}
	if x.Archive != "" {
		p.ref, p.kind, p.name = reference("Archive", x.Platform), archive, x.Archive
	}
	return p
}

// purlOf returns the package URL. It names no registry, because the image is the same in all of
// them, and no address of an archive.
func purlOf(x Image) string {
	if x.Archive != "" {
		return "pkg:generic/" + x.Name + "@" + url.QueryEscape(x.Version) +
			"?checksum=" + url.QueryEscape(x.Digest) + "&file_name=" + url.QueryEscape(x.Archive)
	}
	purl := "pkg:oci/" + x.Name + "@" + url.QueryEscape(x.Digest)
	if parts := strings.Split(x.Platform, "/"); len(parts) > 1 {
		purl += "?arch=" + url.QueryEscape(strings.Join(parts[1:], "/"))
	}
	return purl
}

// mainOf returns the program's own module. A reproducible build contains no version, so the
// version is that of the image, or of the download.
func mainOf(info *debug.BuildInfo, f File, x Image) part {
	p := part{
		kind: program, name: info.Main.Path, version: "v" + strings.TrimPrefix(x.Version, "v"),
		license: x.License, supplier: x.Supplier, address: x.Source,
	}
	if f.Origin != nil {
		p.version, p.license, p.supplier, p.address = info.Main.Version, f.Origin.License, "", f.Origin.URL
	}
	p.ref = reference("Program", p.name, p.version)
	p.purl = golang(p.name, p.version)
	if under := strings.TrimPrefix(info.Path, info.Main.Path+"/"); under != info.Path {
		p.purl += "#" + under
	}
	return p
}

func standardLibrary(goVersion string) part {
	version := strings.TrimPrefix(goVersion, "go")
	version, _, _ = strings.Cut(version, " ") // experiments follow behind a space
	return part{
		ref: reference("Library", "stdlib", version), kind: library, name: "stdlib", version: version,
		license: "BSD-3-Clause", supplier: "The Go Authors", address: "https://go.dev", purl: golang("stdlib", version),
	}
}

func dependencies(info *debug.BuildInfo) []part {
	var parts []part
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		parts = append(parts, part{
			ref: reference("Library", d.Path, d.Version), kind: library, name: d.Path, version: d.Version,
			purl: golang(d.Path, d.Version), sum: d.Sum,
		})
	}
	return parts
}

func golang(module, version string) string {
	return "pkg:golang/" + path.Clean(module) + "@" + url.QueryEscape(version)
}

// reference makes an identifier of the characters that SPDX allows: letters, digits, dots and
// dashes.
func reference(words ...string) string {
	var out strings.Builder
	for _, r := range strings.Join(words, "-") {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			out.WriteRune(r)
		default:
			out.WriteByte('-')
		}
	}
	return strings.TrimRight(out.String(), "-")
}
