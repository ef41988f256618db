package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	ok := situation{current: "0.9.0", wanted: "0.10.0", tags: []string{"v0.8.0", "v0.9.0"}}
	for name, c := range map[string]struct {
		change func(*situation)
		want   string
	}{
		"as it should be":      {func(*situation) {}, ""},
		"before a release":     {func(s *situation) { s.wanted = "0.10.0-rc.1" }, ""},
		"after one before it":  {func(s *situation) { s.current = "0.10.0-rc.1" }, ""},
		"a v":                  {func(s *situation) { s.wanted = "v0.10.0" }, `"v0.10.0" is not a version such as 1.2.3`},
		"two numbers":          {func(s *situation) { s.wanted = "0.10" }, `"0.10" is not a version`},
		"a zero in front":      {func(s *situation) { s.wanted = "0.010.0" }, `"0.010.0" is not a version`},
		"a build":              {func(s *situation) { s.wanted = "0.10.0+1" }, `"0.10.0+1" is not a version`},
		"lower":                {func(s *situation) { s.wanted = "0.8.1" }, "0.8.1 is not newer than 0.9.0, the version in VERSION"},
		"the same":             {func(s *situation) { s.wanted = "0.9.0" }, "0.9.0 is not newer than 0.9.0"},
		"back to before it":    {func(s *situation) { s.wanted = "0.9.0-rc.1" }, "0.9.0-rc.1 is not newer than 0.9.0"},
		"the tag is there":     {func(s *situation) { s.tags = append(s.tags, "v0.10.0") }, "tag v0.10.0 exists already"},
		"something is changed": {func(s *situation) { s.dirty = " M README.md" }, "the working tree is not clean:\n M README.md"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ok
			c.change(&s)
			err := check(s)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPinned(t *testing.T) {
	first := pinned([]byte("# What it is.\n"), "0.2.0", "sha256:a")
	require.Equal(t, "# What it is.\n0.2.0 sha256:a\n", string(first))
	require.Equal(t, "# What it is.\n0.3.0 sha256:b\n", string(pinned(first, "0.3.0", "sha256:b")))
}
