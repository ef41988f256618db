package changelog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const sample = `# Changelog

- not a change: it stands before the first section

## [Unreleased]

### Added

- A verb
  that does much.

### Fixed

- A fault.

## [0.1.0] - 2026-11-23

### Added

- All of it.
`

func date(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestParse(t *testing.T) {
	releases, err := Parse(sample)
	require.NoError(t, err)
	require.Equal(t, []Release{
		{Changes: []Change{{"Added", "A verb that does much."}, {"Fixed", "A fault."}}},
		{Version: "0.1.0", Date: date("2026-11-23"), Changes: []Change{{"Added", "All of it."}}},
	}, releases)
	found, there := Of(releases, "0.1.0")
	require.True(t, there)
	require.Equal(t, releases[1], found)
	_, there = Of(releases, "0.2.0")
	require.False(t, there)
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"## 0.1.0\n":                         `line 1: "## 0.1.0" is not of the form`,
		"## [0.1.0]\n":                       "line 1: version 0.1.0 has no date",
		"## [0.1.0] - 2026-02-30\n":          "line 1: 2026-02-30 is not a date",
		"## [Unreleased]\n- x\n":             "line 2: a change has to stand under one of Added, Changed",
		"## [Unreleased]\n### News\n":        `line 2: "News" is not one of Added, Changed`,
		"## [Unreleased]\nx\n":               `line 2: "x" is neither a heading nor a change`,
		"## [Unreleased]\n## [Unreleased]\n": `line 2: "## [Unreleased]" stands here for the second time`,
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want)
	}
}

func TestMove(t *testing.T) {
	moved, err := Move(sample, "0.2.0", date("2026-12-01"))
	require.NoError(t, err)
	releases, err := Parse(moved)
	require.NoError(t, err)
	before, err := Parse(sample)
	require.NoError(t, err)
	require.Equal(t, []Release{{}, {"0.2.0", date("2026-12-01"), before[0].Changes}, before[1]}, releases)

	_, err = Move(moved, "0.3.0", date("2026-12-02"))
	require.EqualError(t, err, "has no change under ## [Unreleased]")
	_, err = Move(sample, "0.1.0", date("2026-12-02"))
	require.EqualError(t, err, "has a section for 0.1.0 already")
	_, err = Move("# Changelog\n", "0.1.0", date("2026-12-02"))
	require.EqualError(t, err, "has no section ## [Unreleased]")
}
