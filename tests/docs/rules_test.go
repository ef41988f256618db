package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/ci/contents"
)

// TestSteps: every block is decided on, or the page is refused.
func TestSteps(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"commands", "```sh\ntrue\n```", ""},
		{"a file", "```yaml\n# a/b.yaml\nkey: value\n```", ""},
		{"in a list", "* a point\n\n  ```sh\n  true\n  ```", ""},
		{"what was printed", "```sh\ntrue\n```\n\n<!-- printed -->\n```\n```", ""},
		{"a reason over two lines", "<!-- not run: needs\na cluster -->\n```sh\nfalse\n```", ""},
		{"no language", "```\ntrue\n```", "line 1: the block is no file, no command and nothing that was printed"},
		{"YAML without a name", "text\n```yaml\nkey: value\n```", "line 2: the block is no file"},
		{"no reason", "<!-- not run: -->\n```sh\n```", "line 2: the block is not run, and there is no reason why"},
		{"another comment", "<!-- todo -->\n```sh\n```", `line 2: mark "todo" is unknown`},
		{"printed by nothing", "<!-- printed -->\n```\n```", "line 2: nothing ran before"},
		{"a session that runs nothing", "```console\nprinted\n```", "line 1: the block runs nothing"},
		{"twice", "```yaml\n# a.yaml\n```\n```yaml\n# a.yaml\n```", "line 4: a.yaml is shown twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := steps(blocks(c.page))
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// TestLike: what a page shows is compared but for its dots and durations.
func TestLike(t *testing.T) {
	for _, c := range []struct {
		shown, printed string
		differs        bool
	}{
		{"ready after 412ms\n", "ready after 7.1s\n", false},
		{"ready after 412ms\n", "ready after 412 tries\n", true},
		{"first\n...\nlast\n", "first\n1\n2\nlast\n", false},
		{"first\n...\nlast\n", "first\nlast\n", false},
		{"first\n...\nlast\n", "first\n1\n", true},
		{"digest: sha256:...\n", "digest: sha256:0a1b\n", false},
		{"digest: sha256:...\n", "digest: sha256:0a1b\nmore\n", true},
		{"a.b\n", "aXb\n", true},
	} {
		require.Equal(t, c.differs, differs(step{output: &c.shown}, c.printed), "%q %q", c.shown, c.printed)
	}
}

// TestPipes: nobody is told to pipe what helm template prints into something, for a
// shell does not notice in a pipe that helm failed.
func TestPipes(t *testing.T) {
	pipe := regexp.MustCompile(`helm template[^|&;\n]*\|`)
	span := regexp.MustCompile("`[^`]+`")
	for name, text := range pages(t) {
		code := span.FindAllString(text, -1)
		for _, b := range blocks(text) {
			code = append(code, b.text)
		}
		for _, c := range code {
			joined := strings.ReplaceAll(c, "\\\n", "")
			require.False(t, pipe.MatchString(joined) && !strings.Contains(joined, "pipefail"), "%s hides a helm template that fails:\n%s", name, c)
		}
	}
}

// TestNothingIsThere: a page that names the project's own registry, or a tag, says that
// there is nothing yet; the generated ones too.
func TestNothingIsThere(t *testing.T) {
	names := regexp.MustCompile(`ghcr\.io/jobmesh|jobmesh/jobmesh@|\bv\d+\.\d+\.\d+\b.*jobmesh-lint`)
	says := regexp.MustCompile(`(?i)nothing (of it |of jobmesh )?is published yet|not released yet`)
	for name, text := range allPages(t) {
		if names.MatchString(text) {
			require.Regexp(t, says, strings.Join(strings.Fields(text), " "), name)
		}
	}
}

// TestTables: every column of a table has a name, for those who have it read to them.
func TestTables(t *testing.T) {
	head := regexp.MustCompile(`(?m)^(\|.*\|)\n\|(?: *:?-+:? *\|)+$`)
	for name, text := range allPages(t) {
		for _, m := range head.FindAllStringSubmatch(text, -1) {
			for _, cell := range strings.Split(strings.Trim(m[1], "|"), "|") {
				require.NotEmpty(t, strings.TrimSpace(cell), "%s: %s", name, m[1])
			}
		}
	}
}

// allPages are those that people write, and those that are generated.
func allPages(t *testing.T) map[string]string {
	t.Helper()
	all := pages(t)
	for _, folder := range []string{"docs", "docs/rules"} {
		paths, err := filepath.Glob(filepath.Join(sources, folder, "*.md"))
		require.NoError(t, err)
		for _, path := range paths {
			name, err := filepath.Rel(sources, path)
			require.NoError(t, err)
			all[filepath.ToSlash(name)] = read(path)
		}
	}
	return all
}

// TestLinks: a link to a file of the repository leads to one, and to a heading that it has;
// so does the reason why a block is not run lead to a file.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile("(?s)`[^`]*`|\\]\\(([^)#:\\s]*)(#[^)\\s]*)?\\)")
	path := regexp.MustCompile(`\.?\b(?:tests|charts|ci|images)/[\w./-]*\w`)
	for name, text := range allPages(t) {
		for part, fenced := range contents.Parts(text) {
			if fenced {
				continue
			}
			for _, m := range link.FindAllStringSubmatch(part, -1) {
				target := filepath.Join(sources, name)
				if m[1] != "" {
					target = filepath.Join(filepath.Dir(target), filepath.FromSlash(m[1]))
				}
				info, err := os.Stat(target)
				if !assert.NoError(t, err, "%s links to %s", name, m[1]) || m[2] == "" || info.IsDir() {
					continue
				}
				assert.True(t, contents.Anchors(read(target))[m[2][1:]], "%s links to %s%s, which is no heading there", name, m[1], m[2])
			}
		}
		for _, b := range blocks(text) {
			for _, p := range path.FindAllString(b.mark, -1) {
				_, err := os.Stat(filepath.Join(sources, p))
				require.NoError(t, err, "%s, line %d", name, b.line)
			}
		}
	}
}
