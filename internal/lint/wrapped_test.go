package lint

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// TestWrapped shows what a wrapper stops, when, and what it waits for, in a pod of a mesh or
// beside a helper.
func TestWrapped(t *testing.T) {
	const (
		admin   = "ENVOY_ADMIN_API=http://127.0.0.1:15000"
		quit    = "ISTIO_QUIT_API=http://127.0.0.1:15020"
		csp     = `{name: csp, image: "gcr.io/x/cloud-sql-proxy:2", args: [--health-check, --quitquitquit, "a:b:c"]}`
		alloydb = `{name: adb, image: "gcr.io/x/alloydb-auth-proxy:1", args: [--health-check, --quitquitquit, "a"]}`
		fluent  = `{name: log, image: "fluent/fluent-bit:3"}`
	)
	beside := func(args, env string) string {
		return `{name: csp, image: "gcr.io/x/cloud-sql-proxy:2", args: [` + args + `], env: [` + env + `]}`
	}
	istio := Profile{Mesh: "istio"}
	istio.Installation.Version = mesh.Version{Major: 1, Minor: 24}
	linkerd := Profile{Mesh: "linkerd"}
	linkerd.Installation.Version = mesh.Version{Major: 2, Minor: 15}
	for _, c := range []struct {
		name    string
		profile Profile
		command string
		env     []string // NAME=VALUE; NAME alone has a value from elsewhere
		pod     string   // additional fields of the pod spec
		beside  string
		mounts  string
		off     bool // the pod opts out of the mesh
		want    string
	}{
		{name: "scuttle", profile: istio, command: "scuttle /app", env: []string{admin, quit}},
		{name: "scuttle without an Envoy", profile: istio, command: "scuttle /app", env: []string{quit}, want: "JM101"},
		{name: "scuttle with an Envoy elsewhere", profile: istio, command: "scuttle /app", env: []string{"ENVOY_ADMIN_API=http://envoy.other:15000", quit}, want: "JM101"},
		{name: "scuttle, never", profile: istio, command: "scuttle /app", env: []string{admin, quit, "NEVER_KILL_ISTIO=true"}, want: "JM101"},
		{name: "scuttle, never in other words", profile: istio, command: "scuttle /app", env: []string{admin, quit, "NEVER_KILL_ISTIO=1"}},
		{name: "scuttle, on failure in other words", profile: istio, command: "scuttle /app", env: []string{admin, quit, "NEVER_KILL_ISTIO_ON_FAILURE=True"}},
		{name: "scuttle, not on failure", profile: istio, command: "scuttle /app", env: []string{admin, quit, "NEVER_KILL_ISTIO_ON_FAILURE=true"}, want: "JM112"},
		{name: "scuttle, generic endpoints without an Envoy", profile: istio, command: "scuttle /app", env: []string{"GENERIC_QUIT_ENDPOINTS=http://127.0.0.1:15020/quitquitquit"}, want: "JM101"},
		{name: "scuttle, a port that is deaf", profile: istio, command: "scuttle /app", env: []string{admin, "ISTIO_QUIT_API=http://127.0.0.1:15021"}, want: "JM101"},
		{name: "scuttle, by signal to another container", profile: istio, command: "scuttle /app", env: []string{"ENVOY_ADMIN_API=http://127.0.0.1:15009"}, want: "JM101"},
		{name: "scuttle, by signal", profile: istio, command: "scuttle /app", env: []string{"ENVOY_ADMIN_API=http://127.0.0.1:15009"}, pod: "shareProcessNamespace: true,"},
		{name: "scuttle, which depends on its release", profile: istio, command: "scuttle /app", env: []string{admin}},
		{name: "scuttle in another mesh", profile: linkerd, command: "scuttle /app", env: []string{admin, quit}, want: "JM101"},
		{name: "scuttle, not known", profile: istio, command: "scuttle /app", env: []string{"ENVOY_ADMIN_API"}},
		{name: "scuttle outside", profile: istio, command: "scuttle /app", env: []string{admin, quit}, off: true, want: "JM203"},
		{name: "scuttle outside, with a fatal limit", profile: istio, command: "scuttle /app", env: []string{admin, quit, "QUIT_WITHOUT_ENVOY_TIMEOUT=5s"}, off: true, want: "JM203"},
		{name: "scuttle outside, with a limit", profile: istio, command: "scuttle /app", env: []string{admin, quit, "WAIT_FOR_ENVOY_TIMEOUT=5s"}, off: true},
		{name: "scuttle outside, with a limit that it cannot read", profile: istio, command: "scuttle /app", env: []string{admin, quit, "WAIT_FOR_ENVOY_TIMEOUT=5"}, off: true, want: "JM203"},

		{name: "envoy-preflight, a kill API without an Envoy", profile: istio, command: "envoy-preflight /app", env: []string{"ENVOY_KILL_API=http://127.0.0.1:15020/quitquitquit"}, want: "JM101"},
		{name: "envoy-preflight, an Envoy elsewhere", profile: istio, command: "envoy-preflight /app", env: []string{"ENVOY_ADMIN_API=http://envoy:15000", "ALWAYS_KILL_ENVOY=true"}, want: "JM101"},
		{name: "envoy-preflight, always", profile: istio, command: "envoy-preflight /app", env: []string{admin, "ALWAYS_KILL_ENVOY=true"}},
		{name: "envoy-preflight, always in other words", profile: istio, command: "envoy-preflight /app", env: []string{admin, "ALWAYS_KILL_ENVOY=1"}, want: "JM112"},
		{name: "envoy-preflight, never in other words", profile: istio, command: "envoy-preflight /app", env: []string{admin, "ALWAYS_KILL_ENVOY=true", "NEVER_KILL_ENVOY=yes"}},
		{name: "envoy-preflight, Kuma's port", profile: istio, command: "envoy-preflight /app", env: []string{"ENVOY_ADMIN_API=http://127.0.0.1:9901", "ALWAYS_KILL_ENVOY=true"}, want: "JM101"},

		{name: "linkerd-await", profile: linkerd, command: "linkerd-await --timeout-fatal --shutdown -- /app"},
		{name: "linkerd-await, flags behind the command", profile: linkerd, command: "linkerd-await /app --shutdown"},
		{name: "linkerd-await, flags of the command", profile: linkerd, command: "linkerd-await -- /app --shutdown", want: "JM101"},
		{name: "linkerd-await, a limit that is not fatal", profile: linkerd, command: "linkerd-await -t 5s --timeout-fatal=false -- /app", off: true},
		{name: "linkerd-await, no limit that could be fatal", profile: linkerd, command: "linkerd-await --timeout-fatal=false -- /app", off: true, want: "JM203"},
		{name: "linkerd-await, refused", profile: linkerd, command: "linkerd-await -S -- /app", env: []string{"LINKERD_AWAIT_VERBOSE=1"}, want: "JM116"},

		{name: "refused", profile: istio, command: "/jobmesh/jobmesh-wrap --bogus -- /app", want: "JM116"},
		{name: "no --", profile: istio, command: "/jobmesh/jobmesh-wrap /app", want: "JM116"},
		{name: "told of another mesh", profile: istio, command: "jobmesh-wrap -- /app", env: []string{"JOBMESH_POD_LINKERD"}, want: "JM101"},
		{name: "told of this one", profile: istio, command: "jobmesh-wrap -- /app", env: []string{"JOBMESH_POD_LINKERD", "JOBMESH_POD_ISTIO"}},
		{name: "told of none", profile: istio, command: "jobmesh-wrap -- /app", env: []string{"JOBMESH_POD_ISTIO="}, want: "JM101"},
		{name: "told of annotations", profile: istio, command: "jobmesh-wrap -- /app", mounts: "{name: jobmesh-pod, mountPath: /jobmesh-pod}"},
		{name: "told of nothing", profile: istio, command: "jobmesh-wrap -- /app"},
		{name: "a named mesh outside", profile: istio, command: "jobmesh-wrap --mesh=istio -- /app", env: []string{"JOBMESH_POD_ISTIO"}, off: true, want: "JM203"},
		{name: "a request of its own", profile: istio, command: "jobmesh-wrap --stop=POST~http://127.0.0.1:15020/quitquitquit -- /app"},
		{name: "a request for another", profile: istio, command: "jobmesh-wrap --stop=POST~http://127.0.0.1:4191/shutdown -- /app", want: "JM101"},
		{name: "a request that is a GET", profile: istio, command: "jobmesh-wrap --stop=GET~http://127.0.0.1:15020/quitquitquit -- /app", want: "JM101"},
		{name: "a request that nobody knows", profile: istio, command: "jobmesh-wrap --stop=POST~http://127.0.0.1:1/x -- /app"},
		{name: "a signal to another container", profile: istio, command: "jobmesh-wrap --stop-process=pilot-agent -- /app", want: "JM101"},
		{name: "a signal", profile: istio, command: "jobmesh-wrap --stop-process=pilot-agent -- /app", pod: "shareProcessNamespace: true,"},
		{name: "a signal to another", profile: istio, command: "jobmesh-wrap --stop-process=linkerd2-proxy -- /app", pod: "shareProcessNamespace: true,", want: "JM101"},
		{name: "in a script", profile: istio, command: "sh -c jobmesh-wrap~--~/app"},
		{name: "in a script, for another", profile: istio, command: "sh -c jobmesh-wrap~--mesh=linkerd~--~/app", want: "JM101"},

		{name: "beside cloud-sql-proxy", command: "jobmesh-wrap -- /app", beside: csp},
		{name: "beside alloydb-auth-proxy", command: "jobmesh-wrap -- /app", beside: alloydb},
		{name: "alloydb-auth-proxy by name", command: "jobmesh-wrap --mesh=alloydb-auth-proxy -- /app", beside: alloydb},
		{name: "alloydb-auth-proxy by signal", command: "jobmesh-wrap --stop-process=alloydb-auth-proxy=INT -- /app", pod: "shareProcessNamespace: true,", beside: alloydb},
		{name: "one of several meshes", command: "jobmesh-wrap --mesh=linkerd,cloud-sql-proxy -- /app", beside: csp},
		{name: "in a script, beside cloud-sql-proxy", command: "sh -c jobmesh-wrap~--~/app", beside: csp},
		{name: "by name", command: "jobmesh-wrap --mesh=cloud-sql-proxy -- /app", beside: beside("", ""), want: "JM117"},
		{name: "by name, and on", command: "jobmesh-wrap --mesh=cloud-sql-proxy -- /app", beside: csp},
		{name: "another by name", command: "jobmesh-wrap --mesh=linkerd -- /app", beside: csp, want: "JM106"},
		{name: "by request", command: "jobmesh-wrap --stop=POST~http://127.0.0.1:9091/quitquitquit -- /app", beside: csp},
		{name: "told of meshes", command: "jobmesh-wrap -- /app", env: []string{"JOBMESH_POD_ISTIO"}, beside: csp, want: "JM106"},
		{name: "told of annotations", command: "jobmesh-wrap -- /app", mounts: "{name: jobmesh-pod, mountPath: /jobmesh-pod}", beside: csp, want: "JM106"},
		{name: "a mesh comes first", profile: istio, command: "jobmesh-wrap -- /app", beside: csp, want: "JM106"},
		{name: "success alone", command: "jobmesh-wrap --stop-when=never -- /app", beside: csp, want: "JM106"},
		{name: "not to be found", command: "jobmesh-wrap -- /app", beside: beside("--quitquitquit", ""), want: "JM106"},
		{name: "not to be stopped", command: "jobmesh-wrap -- /app", beside: beside("--health-check=true, --quitquitquit=false", ""), want: "JM106"},
		{name: "by variables", command: "jobmesh-wrap -- /app", beside: beside("", `{name: CSQL_PROXY_HEALTH_CHECK, value: "true"}, {name: CSQL_PROXY_QUITQUITQUIT, value: "true"}`)},
		{name: "at another port", command: "jobmesh-wrap -- /app", beside: beside(`--health-check, --quitquitquit, --http-port, "9801"`, ""), want: "JM106"},
		{name: "at a port that is not known", command: "jobmesh-wrap -- /app", beside: beside(`--health-check, --quitquitquit, --admin-port=$(PORT)`, "")},
		{name: "from a file", command: "jobmesh-wrap -- /app", beside: beside(`--config-file=/a`, "")},
		{name: "a helper that is no proxy", command: "jobmesh-wrap -- /app", beside: fluent, want: "JM106"},
		{name: "a helper by signal", command: "jobmesh-wrap --stop-process=fluent-bit -- /app", pod: "shareProcessNamespace: true,", beside: fluent},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, err := json.Marshal(strings.Fields(c.command))
			require.NoError(t, err)
			var env []string
			for _, e := range c.env {
				name, value, set := strings.Cut(e, "=")
				if set {
					env = append(env, `{name: `+name+`, value: "`+value+`"}`)
				} else {
					env = append(env, `{name: `+name+`, valueFrom: {fieldRef: {fieldPath: a}}}`)
				}
			}
			containers := `{name: main, image: "b:1", command: ` + strings.ReplaceAll(string(words), "~", " ") + `, env: [` + strings.Join(env, ", ") + `], volumeMounts: [` + c.mounts + `]}`
			if c.beside != "" {
				containers += ", " + c.beside
			}
			meta := "{}"
			if c.off {
				meta = `{labels: {sidecar.istio.io/inject: "false"}, annotations: {linkerd.io/inject: disabled}}`
			}
			found := check(t, c.profile, []byte(`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {metadata: `+meta+
				`, spec: {restartPolicy: Never, `+c.pod+` containers: [`+containers+`]}}}}`))
			var ids []string
			for _, f := range found {
				if !slices.Contains([]string{"JM603", "JM501"}, f.Rule.ID) { // these rules are about other things
					ids = append(ids, f.Rule.ID)
				}
			}
			require.Equal(t, c.want, strings.Join(ids, ","))
		})
	}
}
