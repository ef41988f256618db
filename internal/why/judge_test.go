package why_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/why"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// facts reads the objects of a case from a YAML stream. The first line of a case is
// `verdict/reason`. Lines `says: TEXT` and `fix: TEXT` give what the answer must contain.
func facts(t *testing.T, text string) why.Facts {
	t.Helper()
	f := why.Facts{Now: now, Program: "jobmesh", Events: map[string][]corev1.Event{}, Object: lint.Object{Kind: "Job", Namespace: "prod", Name: "migrate"},
		Nodes: []running.Node{{Name: "new-1", Kubelet: mesh.Version{Major: 1, Minor: 37}}, {Name: "old-1", Kubelet: mesh.Version{Major: 1, Minor: 32}}}}
	for _, document := range strings.Split(text, "\n---\n") {
		var head struct {
			Kind     string `json:"kind"`
			Metadata struct{ Namespace, Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &head))
		into := func(v any) { require.NoError(t, yaml.UnmarshalStrict([]byte(document), v)) }
		switch head.Kind {
		case "Job":
			var job batchv1.Job
			into(&job)
			f.Jobs = append(f.Jobs, job)
		case "CronJob":
			f.CronJob = &batchv1.CronJob{}
			into(f.CronJob)
			f.Object = lint.Object{Kind: "CronJob", Namespace: "prod", Name: f.CronJob.Name}
			o, err := running.Object(f.CronJob)
			require.NoError(t, err)
			f.Template = o
		case "Pod":
			var pod corev1.Pod
			into(&pod)
			f.Pods = append(f.Pods, pod)
		case "Node":
			var node corev1.Node
			into(&node)
			f.Nodes = append(f.Nodes, running.NodesOf([]corev1.Node{node})...)
		case "Event":
			var event corev1.Event
			into(&event)
			f.Events[event.InvolvedObject.Name] = append(f.Events[event.InvolvedObject.Name], event)
		default:
			require.Empty(t, head.Kind)
		}
	}
	if len(f.Jobs) == 0 && f.CronJob == nil && len(f.Pods) > 0 {
		f.Object = lint.Object{Kind: "Pod", Namespace: "prod", Name: f.Pods[0].Name}
	}
	return f
}

// TestJudge reads each file of testdata as a table of cases: what was read from a cluster, and the
// expected verdict.
func TestJudge(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	seen := map[why.Word]map[why.Reason]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, c := range strings.Split("\n"+string(text), "\n=== ")[1:] {
			name, rest, _ := strings.Cut(c, "\n")
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+name, func(t *testing.T) {
				wanted, rest, _ := strings.Cut(rest, "\n")
				var says []string
				for strings.HasPrefix(rest, "says: ") {
					var line string
					line, rest, _ = strings.Cut(rest, "\n")
					says = append(says, strings.TrimPrefix(line, "says: "))
				}
				v, err := why.Judge(facts(t, rest))
				require.NoError(t, err)
				said := strings.Join(v.Text, " ") + "\n" + strings.Join(v.Fix, "\n")
				require.Equal(t, wanted, string(v.Verdict)+"/"+string(v.Reason), said)
				require.Contains(t, why.Reasons[v.Verdict], v.Reason)
				for _, line := range says {
					require.Contains(t, said, line)
				}
				require.NotContains(t, said, "\x1b")
				require.NotContains(t, said, "%!")
				if seen[v.Verdict] == nil {
					seen[v.Verdict] = map[why.Reason]bool{}
				}
				seen[v.Verdict][v.Reason] = true
			})
		}
	}
	for word, reasons := range why.Reasons {
		for _, reason := range reasons {
			require.True(t, seen[word][reason], "no case for %s, %s", word, reason)
		}
	}
}

func TestAgo(t *testing.T) {
	for age, want := range map[time.Duration]string{
		-time.Hour: "just now", time.Second: "just now", 90 * time.Second: "90 seconds ago", 2 * time.Minute: "2 minutes ago",
		3 * time.Hour: "3 hours ago", 72 * time.Hour: "3 days ago",
	} {
		require.Equal(t, want, why.Ago(age))
	}
}
