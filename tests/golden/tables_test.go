package golden

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
	"github.com/stretchr/testify/require"
)

// A variable is an entry of a container's env.
type variable struct {
	Name      string
	ValueFrom struct{ FieldRef struct{ FieldPath string } }
}

// A row is a mesh in the table of the templates.
type row struct {
	Env                  []variable
	Wrap, Native, OptOut *struct{ Annotations, Labels map[string]string }
	SkipOutboundPorts    string
	Hook                 struct {
		Ready, Stop, TokenHeader, TokenVariable string
		Native                                  []string
	}
}

func meshes(t *testing.T) map[string]row {
	t.Helper()
	var rows map[string]row
	decoder := json.NewDecoder(strings.NewReader(printed(t, "_meshes.tpl", "jobmesh._meshes")))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&rows))
	return rows
}

// variables returns the names that a container gets where the mesh is auto.
func variables(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range meshes(t) {
		for _, v := range r.Env {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// path is where the downward API finds an annotation.
func path(annotation string) string { return "metadata.annotations['" + annotation + "']" }

// TestMeshes: the templates tell the wrapper what its own table of meshes reads,
// and mode hook asks what the wrapper would.
func TestMeshes(t *testing.T) {
	rows := meshes(t)
	require.ElementsMatch(t, mesh.Names(), slices.Collect(maps.Keys(rows)))
	for _, m := range mesh.All() {
		r := rows[m.Name]
		got, want := map[string]string{}, map[string]string{}
		for _, v := range r.Env {
			got[v.Name] = v.ValueFrom.FieldRef.FieldPath
		}
		if m.Annotation != "" {
			want[m.Variable()] = path(m.Annotation)
		}
		for _, native := range m.Native.Words {
			if native.Variable == "" {
				continue
			}
			want[native.Variable] = path(native.Name)
			require.Equal(t, "true", r.Native.Annotations[native.Name], "mode native asks for what the wrapper knows as native")
		}
		require.Equal(t, want, got, m.Name)
		if len(want) > 0 {
			require.Equal(t, m.Variable(), r.Env[0].Name, "mode hook looks at the first one")
		}
		require.Equal(t, m.Stop, r.Hook.Stop, m.Name)
		require.Equal(t, m.TokenHeader, r.Hook.TokenHeader, m.Name)
		require.Equal(t, m.TokenVariable, r.Hook.TokenVariable, m.Name)
		if len(m.Ready) == 0 {
			require.Empty(t, r.Hook.Ready, m.Name)
		} else {
			require.Equal(t, m.Ready[0], r.Hook.Ready, m.Name)
		}
	}
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
