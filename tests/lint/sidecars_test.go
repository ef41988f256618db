package lint

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cli"
)

// The chart moves for `sidecars: known` exactly the containers that, as lint says, never end:
// both know the same helpers, and the same arguments with which a helper does one thing and
// ends.
func TestKnownIsWhatNeverEnds(t *testing.T) {
	for _, c := range []struct {
		name, container string
		want            bool
	}{
		{"by image", `image: gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.0`, true},
		{"by digest", `image: mirror.example.com:5000/gcr/cloud-sql-proxy@sha256:0123`, true},
		{"by program", `{image: example.com/tools, command: [/usr/bin/envoy, -c, a.yaml]}`, true},
		{"another program in its image", `{image: envoyproxy/envoy, command: [python, build.py]}`, false},
		{"a script in a file of its image", `{image: timberio/vector:0.50.0, command: [/entrypoint.sh]}`, true},
		{"a shell that starts it", `{image: example.com/tools, command: [sh, -c, "exec envoy -c a.yaml"]}`, true},
		{"another shell that starts it", `{image: example.com/tools, command: [ksh, -c, "envoy -c a.yaml"]}`, true},
		{"a shell, with the script in args", `{image: example.com/tools, command: [zsh, -c], args: ["envoy -c a.yaml"]}`, true},
		{"version", `{image: envoyproxy/envoy, args: [--version]}`, false},
		{"two words", `{image: envoyproxy/envoy, args: [--mode, validate]}`, false},
		{"two words and a sign", `{image: envoyproxy/envoy, args: [--mode=validate]}`, false},
		{"another mode", `{image: envoyproxy/envoy, args: [--mode=serve]}`, true},
		{"a flag that is on", `{image: registry.k8s.io/git-sync/git-sync:v4.5.0, args: [--one-time=true]}`, false},
		{"a flag that is off", `{image: registry.k8s.io/git-sync/git-sync:v4.5.0, args: [--one-time=false]}`, true},
		{"a flag that is off, and more", `{image: registry.k8s.io/git-sync/git-sync:v4.5.0, args: [--one-time=false, --period=1m]}`, true},
		{"a variable", `{image: registry.k8s.io/git-sync/git-sync:v4.5.0, env: [{name: GITSYNC_ONE_TIME, value: "On"}]}`, false},
		{"a variable that is off", `{image: registry.k8s.io/git-sync/git-sync:v4.5.0, env: [{name: GITSYNC_ONE_TIME, value: "false"}]}`, true},
		{"a flag of the program that is one of the shell too", `{image: haproxy:3.2, command: [sh, -c, "haproxy -f a.cfg"]}`, true},
		{"a check", `{image: haproxy:3.2, command: [haproxy, -c, -f, a.cfg]}`, false},
		{"a check before it runs", `{image: haproxy:3.2, command: [sh, -c, "haproxy -c -f a.cfg && haproxy -f a.cfg"]}`, true},
		{"a check on two lines", `{image: haproxy:3.2, command: [sh, -c, "haproxy \\\n -c -f a.cfg"]}`, false},
		{"two checks", `{image: haproxy:3.2, command: [sh, -c, "haproxy -c -f a.cfg; haproxy -c -f b.cfg"]}`, false},
		{"a subcommand", `{image: hashicorp/vault:1.14, args: [agent, -config=a.hcl]}`, true},
		{"a subcommand behind a flag", `{image: example.com/tools, command: [kubectl, -n, x, proxy, --port=8001]}`, true},
		{"a namespace with the name of a subcommand", `{image: example.com/tools, command: [kubectl, -n, proxy, apply, -f, x.yaml]}`, false},
		{"an object with the name of a subcommand", `{image: example.com/tools, command: [kubectl, delete, deployment, proxy]}`, false},
		{"a shell with a name behind the script", `{image: example.com/tools, command: [sh, -c, "exec envoy -c a.yaml", name]}`, true},
		{"a shell, with all else in args", `{image: example.com/tools, command: [/bin/sh], args: [-ec, "exec envoy -c a.yaml"]}`, true},
		{"in the background of the work", `{image: example.com/tools, command: [sh, -c, "cloud-sql-proxy p:r:i & sleep 2; ./migrate up"]}`, false},
		{"in the background of the work, on lines", `{image: example.com/tools, command: [sh, -c, "dockerd-entrypoint.sh >log 2>&1 &\nsleep 5\ndocker build ."]}`, false},
		{"a pipe in the background of the work", `{image: example.com/tools, command: [sh, -c, "envoy -c a.yaml | tee log & ./work"]}`, false},
		{"in the background of the work, continued", `{image: example.com/tools, command: [sh, -c, "cloud-sql-proxy \\\n  --port 5432 \\\n  p:r:i &\nsleep 2\n./migrate up\n"]}`, false},
		{"a loop in the background of the work", `{image: example.com/tools, command: [sh, -c, "while true; do cloud-sql-proxy p:r:i; sleep 1; done &\n./migrate"]}`, false},
		{"a subcommand in the background of another", `{image: example.com/tools, command: [sh, -c, "kubectl proxy --port=8001 &\nsleep 2\nkubectl get pods\n./migrate up"]}`, false},
		{"a check before it goes to the background", `{image: example.com/tools, command: [sh, -c, "haproxy -c -f a.cfg\nhaproxy -f a.cfg &\n./migrate"]}`, false},
		{"in a comment", `{image: example.com/tools, command: [sh, -c, "# wait for the proxy (envoy)\nsleep 5\n./migrate"]}`, false},
		{"in a name", `{image: example.com/tools, command: [sh, -c, "kubectl exec deploy/pgbouncer -- psql -c RELOAD"]}`, false},
		{"options of the shell", `{image: example.com/tools, command: [bash, -euo, pipefail, -c, "exec envoy -c a.yaml"]}`, true},
		{"a subcommand, continued", `{image: example.com/tools, command: [sh, -c, "exec vault agent \\\n  -config=a.hcl"]}`, true},
		{"a subcommand and a variable", `{image: example.com/tools, command: [sh, -c, "exec vault  agent $ARGS"]}`, true},
		{"a subcommand behind two flags", `{image: example.com/tools, command: [kubectl, -n, proxy, -o, name, get, pods]}`, false},
		{"in the background, and the shell waits for it", `{image: example.com/tools, command: [sh, -c, "cloud-sql-proxy p:r:i & wait"]}`, true},
		{"in the background, and the shell waits", `{image: example.com/tools, command: [sh, -c, "envoy -c a.yaml & wait"]}`, true},
		{"before something that never comes", `{image: example.com/tools, command: [sh, -c, "envoy -c a.yaml; echo done"]}`, true},
		{"in a loop", `{image: example.com/tools, command: [sh, -c, "while true; do fluent-bit -c a.conf; sleep 1; done"]}`, true},
		{"with its output in a file", `{image: example.com/tools, command: [sh, -c, "envoy -c a.yaml >log 2>&1"]}`, true},
		{"over several lines", `{image: example.com/tools, command: [sh, -c, "exec envoy \\\n  -c a.yaml\n"]}`, true},
		{"a daemon, and then the work", `{image: example.com/tools, command: [sh, -c, "pgbouncer -d a.ini; exec ./work"]}`, false},
		{"another subcommand", `{image: hashicorp/vault:1.14, args: [kv, get, secret]}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			container := c.container
			if !strings.HasPrefix(container, "{") {
				container = "{" + container + "}"
			}
			file := filepath.Join(t.TempDir(), "job.yaml")
			job := fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata:
  name: report
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: main, image: example.com/report:1, command: [report]}
        - {name: beside, %s
`, strings.TrimPrefix(container, "{"))
			require.NoError(t, os.WriteFile(file, []byte(job), 0o600))
			ids, _ := run(t, file)
			require.Equal(t, c.want, slices.Contains(ids, "JM106"), "lint finds %v", ids)

			var out, errs bytes.Buffer
			code := cli.Run(context.Background(), []string{"inject", "--set", "sidecars=known,mesh=none,containers={main}", file}, "1.2.3", cli.Streams{Out: &out, Err: &errs})
			require.Zero(t, code, errs.String())
			require.Equal(t, c.want, strings.Contains(out.String(), "restartPolicy: Always"), out.String())
		})
	}
}
