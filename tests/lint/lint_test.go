// Package lint tests jobmesh lint from outside: every rule with a manifest that triggers it,
// one that almost does, and one that suppresses it; a corpus of Jobs like those that people had
// trouble with; and what this repository itself renders.
package lint

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cli"
	rules "github.com/jobmesh/jobmesh/internal/lint"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"jobmesh": func() { os.Exit(cli.Run(context.Background(), os.Args[1:], "1.2.3", cli.SystemStreams())) },
	})
}

const scenarios = "../../internal/lint/testdata/rules"

func TestRules(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  scenarios,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"finds": finds},
	})
}

// finds RULE,RULE... FLAG... FILE runs lint, which has to find exactly these rules; "none"
// means no finding. The JSON is on stdout for the following commands.
func finds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: finds RULE,RULE... FLAG... FILE")
	}
	err := ts.Exec("jobmesh", append([]string{"lint", "--output", "json"}, args[1:]...)...)
	var got struct {
		Findings []struct{ Rule, Message, Severity, FieldPath string }
		Summary  struct{ Objects int }
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
	var ids []string
	for _, f := range got.Findings {
		ids = append(ids, f.Rule)
		if strings.ContainsAny(f.Message, "{}") {
			ts.Fatalf("a word was not filled in: %s", f.Message)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if ids == nil {
		ids = []string{"none"}
	}
	if found := strings.Join(ids, ","); found != args[0] {
		ts.Fatalf("want %s, found %s: %+v (%v)", args[0], found, got.Findings, err)
	}
	if got.Summary.Objects == 0 {
		ts.Fatalf("nothing was read")
	}
}

// Every rule has a scenario with the three manifests that its page needs, and all its texts.
func TestEveryRuleIsComplete(t *testing.T) {
	for _, r := range rules.Rules() {
		t.Run(r.ID, func(t *testing.T) {
			e := rules.ExampleOf(r)
			require.NotEmpty(t, e.Wrong)
			require.NotEmpty(t, e.Right)
			text, err := os.ReadFile(filepath.Join(scenarios, r.ID+".txtar"))
			require.NoError(t, err)
			require.Contains(t, string(text), "suppressed.yaml --")
			for _, s := range []string{r.Title, r.Message, r.Why, r.Fix} {
				require.NotEmpty(t, s)
			}
			require.NotEmpty(t, r.Links)
			require.Contains(t, rules.Severities(), string(r.Severity))
		})
	}
	files, err := filepath.Glob(filepath.Join(scenarios, "*.txtar"))
	require.NoError(t, err)
	require.Len(t, files, len(rules.Rules()))
}

// run runs lint and returns the findings as RULE, and the exit code.
func run(t *testing.T, args ...string) ([]string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(context.Background(), append([]string{"lint", "--output", "json"}, args...), "1.2.3", cli.Streams{Out: &out, Err: &errs})
	var got struct {
		Findings []struct{ Rule, Message, File string }
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got), errs.String())
	var ids []string
	for _, f := range got.Findings {
		ids = append(ids, f.Rule)
	}
	slices.Sort(ids)
	return slices.Compact(ids), code
}
