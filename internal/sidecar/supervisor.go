package sidecar

import (
	"path"
	"slices"
	"strings"
)

// A Supervisor ends a container beside the work when the work has ended: a program that
// starts the container's command, or a controller.
type Supervisor struct {
	Name string
	// Program is the one that starts the command. Empty for a controller.
	Program string
	// Variables ask for it: one of them is set, and not to false. None where none is needed.
	Variables []string
	// Container is the only container that it ends, by its name. Empty for any.
	Container string
	// Signal is what the program gets. Empty where its exit code does not count afterwards.
	Signal  string
	Sources []string
}

var supervisors = []Supervisor{
	{
		Name: "kubexit", Program: "kubexit", Variables: []string{"KUBEXIT_DEATH_DEPS"}, Signal: "SIGTERM",
		Sources: []string{"https://github.com/karlkfi/kubexit", "https://github.com/GoogleCloudPlatform/alloydb-auth-proxy/issues/683"},
	},
	{
		Name:      "OpenKruise",
		Variables: []string{"KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE"},
		Sources:   []string{"https://openkruise.io/docs/user-manuals/jobsidecarterminator"},
	},
	{
		Name: "Airflow", Container: "airflow-xcom-sidecar",
		Sources: []string{"https://github.com/apache/airflow/blob/main/providers/cncf/kubernetes/src/airflow/providers/cncf/kubernetes/utils/xcom_sidecar.py"},
	},
}

// Supervised returns who ends a container from outside, nil where that is nobody.
func Supervised(name string, argv []string, env map[string]string) *Supervisor {
	for i := range supervisors {
		s := &supervisors[i]
		asked := len(s.Variables) == 0 || slices.ContainsFunc(s.Variables, func(v string) bool {
			return env[v] != "" && !strings.EqualFold(env[v], "false")
		})
		starts := s.Program == "" || slices.ContainsFunc(argv, func(w string) bool { return path.Base(w) == s.Program })
		if asked && starts && (s.Container == "" || s.Container == name) {
			return s
		}
	}
	return nil
}
