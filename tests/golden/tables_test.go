package golden

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
	"github.com/stretchr/testify/require"
)

// variables returns the names that a container gets where the mesh is auto.
func variables() []string {
	var names []string
	for _, m := range mesh.All() {
		if m.Annotation != "" {
			names = append(names, m.Variable())
		}
		for _, w := range m.Native.Words {
			if w.Variable != "" {
				names = append(names, w.Variable)
			}
		}
	}
	return names
}

// derived are the flags that follow from the pod or are settings of their own.
var derived = []string{"mesh", "state-dir", "member", "members"}

var upper = regexp.MustCompile(`[A-Z]`)

func kebab(key string) string {
	return upper.ReplaceAllStringFunc(key, func(s string) string { return "-" + strings.ToLower(s) })
}

// TestFlags: the keys under "wrapper" are the flags of the wrapper, of the same
// kinds, and are printed in the order of its help.
func TestFlags(t *testing.T) {
	kinds := parse[map[string]string](t, printed(t, "_settings.tpl", "jobmesh._settings.kinds"))
	got := map[string]string{}
	for name, kind := range kinds {
		if key, found := strings.CutPrefix(name, "wrapper."); found {
			got[kebab(key)] = kind
		}
	}
	want := map[string]string{}
	var order []string
	for _, s := range wrapflags.Settings() {
		order = append(order, s.Name)
		if slices.Contains(derived, s.Name) {
			continue
		}
		switch {
		case s.Repeatable:
			want[s.Name] = "slice"
		case s.Value == "":
			want[s.Name] = "bool"
		case strings.Contains(s.Value, "|"):
			want[s.Name] = "|" + s.Value + "|"
		default:
			want[s.Name] = "string"
		}
	}
	require.Equal(t, want, got)

	list := regexp.MustCompile(`range \$key := list ("mesh" .*"quiet") `).FindStringSubmatch(read(t, library, "templates", "_wrapper.tpl"))
	require.NotNil(t, list)
	var printedKeys []string
	for _, key := range strings.Fields(list[1]) {
		printedKeys = append(printedKeys, kebab(strings.Trim(key, `"`)))
	}
	require.Equal(t, order, printedKeys)
}

// TestDurations: what the templates take for a duration, the wrapper takes too.
func TestDurations(t *testing.T) {
	var forms struct{ Wrapper map[string][]string }
	require.NoError(t, json.Unmarshal([]byte(printed(t, "_settings.tpl", "jobmesh._settings.forms")), &forms))
	for _, s := range wrapflags.Settings() {
		if s.Value != "DURATION" {
			continue
		}
		key := regexp.MustCompile(`-[a-z]`).ReplaceAllStringFunc(s.Name, func(s string) string { return strings.ToUpper(s[1:]) })
		form := regexp.MustCompile(forms.Wrapper[key][0])
		for _, text := range []string{"0", "1", "5s", "1m30s", "1.5h", "0s", "500ms", "1us", "-1s", "+1s", "1d", "", "s", "1h2", "2m "} {
			if _, err := time.ParseDuration(text); err != nil || strings.HasPrefix(text, "-") {
				require.False(t, form.MatchString(text), "%s: %q", key, text)
			}
		}
		require.True(t, form.MatchString("1m30s"), key)
		require.Equal(t, s.Name != "stop-timeout", form.MatchString("0"), "%s: no limit", key)
	}
}
