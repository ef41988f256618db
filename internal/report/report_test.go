package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/lint"
)

func finding(t *testing.T, id string) lint.Finding {
	t.Helper()
	r, err := lint.ByID(id)
	require.NoError(t, err)
	return lint.Finding{
		Rule: r, Severity: r.Severity, Object: lint.Object{Kind: "Job", Namespace: "shop", Name: "migrate"},
		Container: "main", FieldPath: "spec.template.spec.containers[0]", File: "a,b:c/100%.yaml", Line: 3, Column: 7,
		Message: "one\x1b[31m two\nthree", Fix: strings.Repeat("word ", 40),
	}
}

func write(t *testing.T, format string, color bool, findings ...lint.Finding) string {
	t.Helper()
	var out bytes.Buffer
	w, err := New(format, &out, "1.2.3", color)
	require.NoError(t, err)
	for _, f := range findings {
		require.NoError(t, w.Write(f))
	}
	require.NoError(t, w.Flush(Summary{Problems: []Problem{{File: "x.yaml", Cause: "is a binary file"}}}))
	return out.String()
}

func TestTextFitsTheWidth(t *testing.T) {
	var all []lint.Finding
	for _, r := range lint.Rules() {
		f := finding(t, r.ID)
		f.Message, f.Fix = r.Message, r.Fix
		all = append(all, f)
	}
	for _, line := range strings.Split(write(t, "text", false, all...), "\n") {
		// A word is never broken, because the user may want to copy it.
		if utf8.RuneCountInString(line) > 80 && len(strings.Fields(line)) > 2 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}

func TestTextKeepsEscapesOut(t *testing.T) {
	require.NotContains(t, write(t, "text", false, finding(t, "JM101")), "\x1b")
	colored := write(t, "text", true, finding(t, "JM101"))
	require.Contains(t, colored, "\x1b[31merror\x1b[0m JM101")
	require.Contains(t, colored, "\x1b[1mJob/shop/migrate\x1b[0m")
	require.NotContains(t, colored, "\x1b[31m two")
}

// An object is named once for all its findings, and a rule is explained once.
func TestTextGroups(t *testing.T) {
	out := write(t, "text", false, finding(t, "JM101"), finding(t, "JM603"), finding(t, "JM101"))
	require.Equal(t, 1, strings.Count(out, "Job/shop/migrate\n"))
	require.Equal(t, 2, strings.Count(out, "why: "))
	require.Equal(t, 3, strings.Count(out, "fix: "))
}

// The escapes are those of GitHub's runner.
func TestGitHubEscapes(t *testing.T) {
	out := write(t, "github", false, finding(t, "JM607"))
	require.Contains(t, out, "::notice file=a%2Cb%3Ac/100%25.yaml,line=3,col=7,title=JM607 a suppression without a reason::Job/shop/migrate: one\\x1b[31m two%0Athree%0Afix: ")
	require.Contains(t, out, "::error file=x.yaml,line=1,title=cannot be read::is a binary file\n")
}

func TestSARIFNamesFilesAsURIs(t *testing.T) {
	out := write(t, "sarif", false, finding(t, "JM101"))
	require.Contains(t, out, `"uri": "./a,b:c/100%25.yaml"`)
	require.Contains(t, out, `"level": "error"`)
	require.Contains(t, out, `"name": "TheProxyOutlivesTheJob"`)
}

func TestUnknownFormat(t *testing.T) {
	_, err := New("xml", nil, "", false)
	require.EqualError(t, err, `output "xml" is unknown: text, json, yaml, sarif or github`)
}

func TestSummary(t *testing.T) {
	s := Summary{Errors: 1, Warnings: 2, Infos: 4}
	require.Equal(t, 1, s.AtLeast(lint.Error))
	require.Equal(t, 3, s.AtLeast(lint.Warning))
	require.Equal(t, 7, s.AtLeast(lint.Info))
}
