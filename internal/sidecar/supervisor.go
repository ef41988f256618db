package sidecar

import (
	"path"
	"slices"
	"strings"
)

// A Supervisor ends a container when the work beside it has ended: a program that starts the
// container's command, or a controller.
type Supervisor struct {
	Name string
	// Program is the program that starts the command. It is empty for a controller.
	Program string
	// Variables are environment variables that switch it on: one has to be set, and not to
	// false. Nil where none is needed.
	Variables []string
	// Container is the name of the only container that it ends. It is empty where it ends any
	// container.
	Container string
	// Signal is sent to the program. It is empty where the exit code does not count afterwards.
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

// Supervised returns who ends a container from outside, and nil where nobody does.
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
