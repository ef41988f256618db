package mesh

import (
	"errors"
	"strconv"
	"strings"
)

// A Version is the release of a mesh or of Kubernetes, as far as decisions need it.
// The zero value means that it is not known.
type Version struct{ Major, Minor int }

// ParseVersion reads the beginning of a version: 2.19, v1.27.3, 1.33.5-gke.1200, also with a
// channel of Linkerd in front: stable-2.14.10, enterprise-2.19.0. An edge release of Linkerd
// (edge-26.6.1) is read as the stable release that was current in its month.
func ParseVersion(text string) (Version, error) {
	plain := strings.TrimSpace(text)
	for _, channel := range []string{"stable-", "enterprise-"} {
		plain = strings.TrimPrefix(plain, channel)
	}
	if date, ok := strings.CutPrefix(plain, "edge-"); ok {
		year, month, _, err := numbers(date)
		if err != nil {
			return Version{}, errors.New(strconv.Quote(text) + " is not an edge release such as edge-26.6.1")
		}
		return edge(year, month), nil
	}
	major, minor, tail, err := numbers(strings.TrimPrefix(plain, "v"))
	if err != nil || major == 0 && minor == 0 || tail != "" && !strings.ContainsAny(tail[:1], ".-+") {
		return Version{}, errors.New(strconv.Quote(text) + " is not a version such as 2.19 or 1.33.1")
	}
	return Version{major, minor}, nil
}

// numbers reads the two numbers at the start of X.Y, and returns what stands behind them.
func numbers(text string) (major, minor int, tail string, err error) {
	first, rest, _ := strings.Cut(text, ".")
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	if major, err = strconv.Atoi(first); err == nil && major < 0 {
		err = strconv.ErrRange
	}
	if err == nil {
		minor, err = strconv.Atoi(rest[:end])
	}
	return major, minor, rest[end:], err
}

// edges are the months in which a stable release of Linkerd was cut from its edge channel,
// newest first. An edge release of that month or later has what the stable release has.
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

func edge(year, month int) Version {
	for _, e := range edges {
		if year > e.year || year == e.year && month >= e.month {
			return e.version
		}
	}
	return Version{2, 13}
}

// Known tells whether the version is known.
func (v Version) Known() bool { return v != Version{} }

// AtLeast tells whether the version is known, and is that one or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Known() && (v.Major > major || v.Major == major && v.Minor >= minor)
}

// Before tells whether the version is known, and is older than that one.
func (v Version) Before(major, minor int) bool { return v.Known() && !v.AtLeast(major, minor) }

// String returns X.Y, or "" for a version that is not known.
func (v Version) String() string {
	if !v.Known() {
		return ""
	}
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor)
}
