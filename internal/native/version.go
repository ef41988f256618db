package native

import (
	"fmt"
	"strconv"
	"strings"
)

// A Version is the release of a mesh or of Kubernetes, as far as the decisions
// need it. The zero value means that it is not known.
type Version struct{ Major, Minor int }

// ParseVersion reads the beginning of a version: 2.19, v1.27.3, 1.33.5-gke.1200.
// Linkerd's edge releases (edge-26.6.1) are read by their date: the year and the
// month of a stable release are known.
func ParseVersion(text string) (Version, error) {
	plain := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "stable-"), "v")
	if date, ok := strings.CutPrefix(plain, "edge-"); ok {
		return edge(text, date)
	}
	major, rest, ok := strings.Cut(plain, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	minor, tail := rest, ""
	if end >= 0 {
		minor, tail = rest[:end], rest[end:]
	}
	var v Version
	var failed [2]error
	v.Major, failed[0] = strconv.Atoi(major)
	v.Minor, failed[1] = strconv.Atoi(minor)
	if !ok || failed[0] != nil || failed[1] != nil || v.Major < 0 || v.Major == 0 && v.Minor == 0 ||
		tail != "" && !strings.ContainsAny(tail[:1], ".-+") {
		return Version{}, fmt.Errorf("%q is not a version such as 2.19 or 1.33.1", text)
	}
	return v, nil
}

// edges are the months in which a stable release was cut from Linkerd's edge,
// newest first: an edge release of that month or later has what it has.
var edges = []struct {
	year, month int
	version     Version
}{
	{26, 6, Version{2, 20}},
	{25, 10, Version{2, 19}},
	{25, 4, Version{2, 18}},
	{24, 11, Version{2, 17}},
	{24, 8, Version{2, 16}},
	{24, 2, Version{2, 15}},
	{23, 8, Version{2, 14}},
}

func edge(text, date string) (Version, error) {
	var year, month int
	if n, err := fmt.Sscanf(date, "%d.%d", &year, &month); n != 2 || err != nil {
		return Version{}, fmt.Errorf("%q is not an edge release such as edge-26.6.1", text)
	}
	for _, e := range edges {
		if year > e.year || year == e.year && month >= e.month {
			return e.version, nil
		}
	}
	return Version{2, 13}, nil
}

// Known tells whether there is a version at all.
func (v Version) Known() bool { return v != Version{} }

// AtLeast tells whether a known version is that one or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Known() && (v.Major > major || v.Major == major && v.Minor >= minor)
}

// Before tells whether a known version is older than that one.
func (v Version) Before(major, minor int) bool { return v.Known() && !v.AtLeast(major, minor) }

func (v Version) String() string {
	if !v.Known() {
		return ""
	}
	return fmt.Sprintf("%d.%d", v.Major, v.Minor)
}
