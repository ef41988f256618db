package script

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestScripts(t *testing.T) {
	const quit = "curl -fsS -X POST http://localhost:15020/quitquitquit"
	env := map[string]string{"QUIT": "http://localhost:15020/quitquitquit", "CODE": "python app.py; " + quit}
	for _, c := range []struct {
		name, script string
		outcome      Outcome
		loses        bool
		opaque       string
	}{
		{"no stop", "python app.py", Never, false, ""},
		{"after it", "python app.py; " + quit, Always, true, ""},
		{"on the next line", "python app.py\n" + quit + "\n", Always, true, ""},
		{"an ERR trap and the end", "set -e\ntrap '" + quit + "' ERR\npython app.py\n" + quit, Always, false, ""},
		{"an ERR trap alone", "trap '" + quit + "' ERR\npython app.py", Never, false, ""},
		{"an ERR trap that was taken back", "set -e\ntrap '" + quit + "' ERR\ntrap - ERR\npython app.py\n" + quit, OnSuccess, false, ""},
		{"if there is a client", "python app.py; rc=$?; if command -v curl >/dev/null; then " + quit + "; fi; exit $rc", Always, false, ""},
		{"a request by hand", "python app.py; rc=$?; printf 'POST /quitquitquit HTTP/1.1\\r\\n\\r\\n' | nc -w 1 localhost 15020; exit $rc", Always, false, ""},
		{"a request by hand that is last", "python app.py; echo 'POST /shutdown HTTP/1.0' | nc localhost 4191", Always, true, ""},
		{"a request by hand to another port", "python app.py; echo 'POST /quitquitquit HTTP/1.0' | nc localhost 15021", Never, false, ""},
		{"the readiness port", "python app.py; rc=$?; curl -X POST http://localhost:15021/quitquitquit; exit $rc", Never, false, ""},
		{"Linkerd's port", "python app.py; rc=$?; curl -X POST http://localhost:4191/quitquitquit; exit $rc", Never, false, ""},
		{"only on success", "python app.py && " + quit, OnSuccess, false, ""},
		{"under set -e", "set -e\npython app.py\n" + quit, OnSuccess, false, ""},
		{"under set -o errexit", "set -euo pipefail\npython app.py | tee log\n" + quit, OnSuccess, false, ""},
		{"if it succeeds", "if python app.py; then " + quit + "; fi", OnSuccess, false, ""},
		{"if the code is 0", "python app.py\nif [ $? -eq 0 ]; then\n" + quit + "\nfi", OnSuccess, false, ""},
		{"either way", "if python app.py; then " + quit + "; else " + quit + "; exit 1; fi", Always, false, ""},
		{"code kept", "python app.py; rc=$?; " + quit + "; exit $rc", Always, false, ""},
		{"code kept in a substitution", "python app.py\nEXIT=$(echo $?)\n" + quit + "\nexit $EXIT", Always, false, ""},
		{"code kept by ||", "rc=0; python app.py || rc=$?; " + quit + "; exit $rc", Always, false, ""},
		{"code kept with a default", "python app.py || rc=$?; " + quit + "; exit ${rc:-0}", Always, false, ""},
		{"the code of curl kept", "python app.py; " + quit + "; exit $?", Always, true, ""},
		{"curl may fail", "python app.py; " + quit + " || true", Always, true, ""},
		{"trap", "trap '" + quit + "' EXIT\npython app.py", Always, false, ""},
		{"trap with set -e", "set -e\ntrap '" + quit + "' EXIT\npython one.py\npython two.py", Always, false, ""},
		{"trap that exits", "trap '" + quit + "; exit 0' EXIT\npython app.py", Always, true, ""},
		{"trap and function", "stop() { rc=$?; " + quit + "; exit $rc; }\ntrap stop EXIT\npython app.py", Always, false, ""},
		{"trap lost to exec", "trap '" + quit + "' EXIT\nexec python app.py", Never, false, ""},
		{"behind exec", "exec python app.py; " + quit, Never, false, ""},
		{"waits first", "until curl -fs http://localhost:15021/healthz/ready; do sleep 1; done; python app.py; " + quit, Always, true, ""},
		{"waits first, keeps", "until curl -fs http://localhost:15021/healthz/ready; do sleep 1; done; python app.py; x=$?; " + quit + "; exit $x", Always, false, ""},
		{"background", "python app.py & pid=$!\nwait $pid\nrc=$?\n" + quit + "\nexit $rc", Always, false, ""},
		{"pilot-agent", "python app.py; pilot-agent request POST quitquitquit", Always, true, ""},
		{"wget", "python app.py && wget --post-data= http://127.0.0.1:15020/quitquitquit -O-", OnSuccess, false, ""},
		{"only sleeps", "sleep 10; " + quit, Always, true, ""},
		{"from a variable of the container", "python app.py; curl -X POST $QUIT", Always, true, ""},
		{"from a variable of the script", "U=http://localhost:4191; python app.py; curl -X POST $U/shutdown", Always, true, ""},
		{"exits with 0", "python app.py; " + quit + "; exit 0", Always, true, ""},
		{"author's own || true", "python app.py || true; " + quit, Always, false, ""},
		{"unknown script", `"$SCRIPT"`, Never, false, `"$SCRIPT"`},
		{"eval of unknown", `eval "$SCRIPT"`, Never, false, `eval "$SCRIPT"`},
		{"known script by eval", `eval "$CODE"`, Always, true, ""},
		{"sourced", ". /etc/profile; python app.py; x=$?; " + quit + "; exit $x", Always, false, ". /etc/profile"},
		{"depends", "python app.py; rc=$?; if [ -n \"$MESH\" ]; then " + quit + "; fi; exit $rc", CannotTell, false, ""},
		{"an empty variable", "x=; python app.py; rc=$?; [ -z \"$x\" ] && " + quit + "; exit $rc", Always, false, ""},
		{"a variable that is not empty", "x=a; python app.py; rc=$?; [ -n \"$x\" ] || " + quit + "; exit $rc", Never, false, ""},
		{"nested shell", "sh -c 'python app.py; " + quit + "'", Always, true, ""},
		{"nested wrapper", "linkerd-await --shutdown -- python app.py", Always, false, ""},
		{"not a call", "echo 'remember http://localhost:15020/quitquitquit'; python app.py", Never, false, ""},
		{"pkill", "python app.py; pkill -f pilot-agent", Always, true, ""},
		{"kill of pgrep", "python app.py; kill $(pgrep envoy)", Always, true, ""},
		{"a loop", "for i in 1 2 3; do python app.py && break; sleep 1; done; rc=$?; " + quit + "; exit $rc", Always, false, ""},
		{"case", "python app.py; rc=$?; case $rc in 0) " + quit + ";; *) exit $rc;; esac", OnSuccess, false, ""},
		{"arithmetic", "python app.py; rc=$?; if (( rc == 0 )); then " + quit + "; fi; exit $rc", OnSuccess, false, ""},
		{"double brackets", "python app.py; rc=$?; [[ $rc -ne 0 ]] && exit $rc; " + quit, OnSuccess, false, ""},
		{"not shell", "{{ .Values.script }} (((", Never, false, "{{ .Values.script }} ((("},
		{"stops until it works", "python app.py; code=$?; RC=1; while [ $RC -gt 0 ]; do " + quit + "; RC=$?; done; exit $code", Always, false, ""},
		{"until it stops", "python app.py; code=$(echo $?); until " + quit + " &> /dev/null; do sleep 3; done; exit $code", Always, false, ""},
		{"exit behind &&", "python app.py\nx=$(echo $?); " + quit + " && exit $x", Always, false, ""},
		{"calls itself", "f() { f; }; f; " + quit, CannotTell, false, ""},
		// Tests at the top end the script, and leave the proxy running, before the work.
		{"a guard", "if [ -z \"$URL\" ]; then echo missing; exit 64; fi\npython app.py\n" + quit, OnSuccess, true, ""},
		{"a guard behind ||", "[ -n \"$URL\" ] || exit 1\npython app.py\n" + quit, OnSuccess, true, ""},
		{"a guard that succeeds", "[ -n \"$URL\" ] || exit 0\npython app.py; rc=$?\n" + quit + "\nexit $rc", OnSuccess, false, ""},
		{"several guards", "[ -n \"$A\" ] || exit 1\n[[ -z $B ]] && exit 1\nif test ! -f /etc/c; then exit 2; fi\npython app.py\n" + quit, OnSuccess, true, ""},
		{"a guard under set -e", "set -eu\nif [ -z \"$URL\" ]; then exit 64; fi\npython app.py\n" + quit, OnSuccess, false, ""},
		{"a guard for a program", "if ! command -v psql >/dev/null; then exit 1; fi\npython app.py\n" + quit, OnSuccess, true, ""},
		{"a guard that asks the database", "if psql -c 'select 1 from done'; then exit 0; fi\npython app.py; rc=$?\n" + quit + "\nexit $rc", OnSuccess, false, ""},
		{"a guard by case of what is not known", "case \"$MODE\" in up) ;; *) echo usage; exit 64 ;; esac\npython app.py\n" + quit, OnSuccess, true, ""},
		{"a guard that stops it", "stop() { " + quit + "; }\n[ -n \"$URL\" ] || { stop; exit 1; }\npython app.py; rc=$?; stop; exit $rc", Always, false, ""},
		{"a guard below a trap", "trap '" + quit + "' EXIT\n[ -n \"$URL\" ] || exit 1\npython app.py", Always, false, ""},
		{"an exit where there is no mesh", "python app.py; rc=$?\n[ -n \"$MESH\" ] || exit $rc\n" + quit + "\nexit $rc", CannotTell, false, ""},
		{"one test, asked twice", "if [ -n \"$MESH\" ]; then echo meshed; fi\npython app.py; rc=$?\nif [ -z \"$MESH\" ]; then exit $rc; fi\n" + quit + "\nexit $rc", CannotTell, false, ""},
		{"work in an if", "if [ -n \"$RUN\" ]; then\npython app.py\nfi\n" + quit, Always, true, ""},
		{"work in an if, code kept", "rc=0\nif [ -n \"$RUN\" ]; then\npython app.py || rc=$?\nfi\n" + quit + "\nexit $rc", Always, false, ""},
		{"the call in an if of its own", "python app.py\nif [ -n \"$MESH\" ]; then " + quit + "; fi", CannotTell, true, ""},
		{"never there", "python app.py\n" + quit + "\nsleep infinity", Always, false, ""},
		// The code is read from different places.
		{"PIPESTATUS after the call", "python app.py | tee log\n" + quit + "\nexit ${PIPESTATUS[0]}", Always, true, ""},
		{"PIPESTATUS before the call", "python app.py | tee log\nrc=${PIPESTATUS[0]}\n" + quit + "\nexit $rc", Always, false, ""},
		{"PIPESTATUS of one in the middle", "a | python app.py | tee log; rc=${PIPESTATUS[1]}; " + quit + "; exit $rc", Always, false, ""},
		{"echo after the call", "python app.py\n" + quit + "\nx=$(echo $?)\nexit $x", Always, true, ""},
		{"not the pipe's own code", "python app.py | tee log\n" + quit, Always, false, ""},
		{"pipefail", "set -o pipefail\npython app.py | tee log\n" + quit, Always, true, ""},
		// These have loops and functions.
		{"return in a loop in a function", "f() { for i in 1 2; do python app.py && return 0; done; return 1; }\nf; rc=$?\n" + quit + "\nexit $rc", Always, false, ""},
		{"several proxies", "python app.py; rc=$?; for u in localhost:15020/quitquitquit localhost:4191/shutdown; do curl -X POST http://$u; done; exit $rc", Always, false, ""},
		{"a trap behind --", "trap -- '" + quit + "' EXIT\npython app.py", Always, false, ""},
		{"two in the background", "a & p=$!\nb & q=$!\nwait $p; x=$?\nwait $q; y=$?\n" + quit + "\nexit $((x + y))", Always, false, ""},
		{"wait for the first of two", "a & p=$!\nb & q=$!\nwait $q\nwait $p\n" + quit, Always, true, ""},
		{"wait for all", "python app.py &\nwait\n" + quit, Always, false, ""},
		// These get text in another way.
		{"a script on standard input", "bash <<'EOF'\npython app.py\n" + quit + "\nEOF\n", Always, true, ""},
		{"a script in a pipe", "echo 'python app.py; " + quit + "' | sh", Always, true, ""},
		{"a script that it writes", "cat > /tmp/run.sh <<'EOF'\npython app.py\n" + quit + "\nEOF\nchmod +x /tmp/run.sh\n/tmp/run.sh\n", Always, true, ""},
		{"a script from the network", "curl -fsS http://scripts/run.sh | sh; rc=$?; " + quit + "; exit $rc", Always, false, "sh"},
		{"a request on standard input", "python app.py; rc=$?\nnc localhost 15020 <<EOF\nPOST /quitquitquit HTTP/1.1\n\nEOF\nexit $rc", Always, false, ""},
		{"fortio", "python app.py; rc=$?; fortio curl -X POST http://localhost:15020/quitquitquit; exit $rc", Always, false, ""},
		// Only bash has /dev/tcp; which shell sh is depends on the image.
		{"a connection of bash, in sh", "python app.py; rc=$?\nprintf 'POST /quitquitquit HTTP/1.1\\r\\n\\r\\n' > /dev/tcp/localhost/15020\nexit $rc", CannotTell, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Read([]string{"/bin/sh", "-c", c.script}, env)
			require.True(t, r.Shell)
			if c.name == "calls itself" {
				require.NotEmpty(t, r.Opaque)
				return
			}
			require.Equal(t, c.outcome, r.Outcome, "outcome")
			require.Equal(t, c.loses, r.LosesCode, "loses the code")
			require.Equal(t, c.opaque, r.Opaque, "opaque")
		})
	}
}

// Only bash can run these scripts.
func TestBash(t *testing.T) {
	for name, c := range map[string]struct {
		script  string
		outcome Outcome
		loses   bool
	}{
		"a connection":          {"python app.py; rc=$?\nexec 3<>/dev/tcp/127.0.0.1/15020\nprintf 'POST /quitquitquit HTTP/1.1\\r\\n\\r\\n' >&3\nexit $rc", Always, false},
		"a connection at once":  {"python app.py; rc=$?\necho -e \"POST /quitquitquit HTTP/1.1\\n\" > /dev/tcp/localhost/15020; exit $rc", Always, false},
		"of a group":            {"python app.py; rc=$?\n{ echo 'POST /shutdown HTTP/1.0'; echo; cat <&3; } 3<>/dev/tcp/localhost/4191 >&3\nexit $rc", Always, false},
		"of a group, last":      {"python app.py\nexec 5<>/dev/tcp/localhost/4191\necho 'POST /shutdown HTTP/1.0' >&5", Always, true},
		"in a shell of its own": {"python app.py; rc=$?\ntimeout 5 bash -c 'echo POST /shutdown HTTP/1.0 > /dev/tcp/localhost/4191'; exit $rc", Always, false},
		"a heredoc":             {"python app.py; rc=$?\ncat > /dev/tcp/localhost/15020 <<EOF\nPOST /quitquitquit HTTP/1.1\n\nEOF\nexit $rc", Always, false},
		"another host":          {"python app.py; rc=$?\necho 'POST /quitquitquit HTTP/1.1' > /dev/tcp/db/15020; exit $rc", Never, false},
		"another port":          {"python app.py; rc=$?\necho 'POST /quitquitquit HTTP/1.1' > /dev/tcp/localhost/15021; exit $rc", Never, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := Read([]string{"/bin/bash", "-c", c.script}, nil)
			require.Equal(t, c.outcome, r.Outcome, "outcome")
			require.Equal(t, c.loses, r.LosesCode, "loses the code")
		})
	}
}

// Some of these commands never end, and some only look like it.
func TestEndless(t *testing.T) {
	for script, want := range map[string]string{
		"echo on; while true; do sleep 3600; done":                     "while true; do sleep 3600; done",
		"while :; do echo a; sleep 1; done; b":                         "while :; do echo a; sleep 1; done",
		"until false; do sleep 1; done":                                "until false; do sleep 1; done",
		"while sleep 60; do sync; done":                                "while sleep 60; do sync; done",
		"for ((;;)); do sleep 1; done":                                 "for (( ; ; )); do sleep 1; done",
		"while [ 1 ]; do sleep 1; done":                                "while [ 1 ]; do sleep 1; done",
		"while true; do for i in 1 2; do a && break; done; wait; done": "while true; do for i in 1 2; do a && break; done; wait; done",
		"work; sleep infinity":                                         "sleep infinity",
		"exec sleep inf":                                               "exec sleep inf",
		"sleep 9999d":                                                  "sleep 9999d",
		"tail -F /var/log/a":                                           "tail -F /var/log/a",
		"tail --follow=name a | tee b":                                 "tail --follow=name a",
		"sleep infinity & wait":                                        "sleep infinity",
		"sleep infinity & wait $!":                                     "sleep infinity",
		"[ -n \"$A\" ] || exit 1; sleep infinity":                      "sleep infinity",
		"f() { while true; do sleep 1; done; }; f":                     "while true; do sleep 1; done",
		"trap 'exit 0' TERM; while true; do sleep 1; done":             "while true; do sleep 1; done",
		"bash -c 'tail -f /dev/null'":                                  "tail -f /dev/null",

		"while true; do work && break; sleep 1; done":              "",
		"while true; do if work; then exit 0; fi; sleep 1; done":   "",
		"f() { exit 0; }; while true; do work && f; sleep 1; done": "",
		"while [ ! -f /done ]; do sleep 1; done":                   "",
		"while kill -0 $PID; do sleep 1; done":                     "",
		"until curl -fs main:8080; do sleep 1; done":               "",
		"set -e; while true; do pgrep main; sleep 1; done":         "",
		"sleep 3600":                                    "",
		"sleep $SECONDS":                                "",
		"timeout 60 sleep infinity":                     "",
		"timeout 60 tail -f a":                          "",
		"tail -n 5 a":                                   "",
		"tail -f --pid=7 a":                             "",
		"tail -f a | grep -m1 ready":                    "",
		"sleep infinity & work":                         "",
		"sleep infinity & p=$!; work; kill $p; wait":    "",
		"a & b & wait -n":                               "",
		"tail -f a & work & wait -n":                    "",
		"if [ -n \"$DEBUG\" ]; then sleep infinity; fi": "",
		"while read -r line; do work; done < a":         "",
	} {
		require.Equal(t, want, Read([]string{"sh", "-c", script}, nil).Endless, script)
	}
	require.Equal(t, "sleep infinity", Read([]string{"sleep", "infinity"}, nil).Endless)
	require.Equal(t, "tail -f /dev/null", Read([]string{"tini", "--", "tail", "-f", "/dev/null"}, nil).Endless)
	require.Empty(t, Read([]string{"sleep", "60"}, nil).Endless)
}

// These show which programs a signal reaches: pkill takes a pattern for the name, of which the
// kernel keeps 15 characters; killall takes a name; -f takes a pattern for the command line.
func TestSignals(t *testing.T) {
	for command, want := range map[string][]string{
		"pkill consul":                     {"consul"},
		"pkill -f consul":                  {"consul"},
		"pkill -x consul":                  nil,
		"pkill consul-dataplane":           {"consul"},
		"pkill ^consul-dataplan$":          {"consul"},
		"pkill 'pilot|envoy'":              {"", "istio"},
		"pkill -INT envoy":                 {""},
		"pkill -9 -f /usr/local/bin/envoy": {""},
		"pkill -u 2102 linkerd":            {"linkerd"},
		"pkill -0 envoy":                   nil,
		"pkill -v envoy":                   nil,
		"pkill worker":                     nil,
		"pkill fluent":                     {"fluent-bit", "fluentd"},
		"killall daprd":                    {"dapr"},
		"killall dapr":                     nil,
		"killall -r 'dapr.*'":              {"dapr"},
		"killall -q -s TERM pilot-agent":   {"istio"},
		"kill $(pidof envoy)":              {""},
		"kill $(pgrep consul)":             {"consul"},
		"kill $(pgrep -x consul)":          nil,
		"kill -0 $(pidof envoy)":           nil,
		"kill -TERM $(cat /run/envoy.pid)": {""},
		"kill $PID":                        nil,
	} {
		var got []string
		for _, s := range Read([]string{"sh", "-c", "work; " + command}, nil).Stops {
			require.True(t, s.Signal)
			got = append(got, s.Mesh)
		}
		slices.Sort(got)
		require.Equal(t, want, got, command)
	}
}

// The proxy is stopped before the work, which then has no network.
func TestTooSoon(t *testing.T) {
	const quit = "curl -X POST localhost:15020/quitquitquit"
	for script, want := range map[string]bool{
		quit + "; work":                        true,
		"echo first; " + quit + " && work":     true,
		"stop() { " + quit + "; }; stop; work": true,
		"work; " + quit:                        false,
		"work; " + quit + "; report":           false,
		"trap '" + quit + "' EXIT; work":       false,
		quit + "; echo done":                   false,
		"(sleep 60; " + quit + ") & work":      false,
		"sleep 5; " + quit + "; sleep 5":       false,
		"[ -n \"$RUN\" ] || { " + quit + "; exit 0; }; work; rc=$?; " + quit + "; exit $rc": false,
	} {
		require.Equal(t, want, Read([]string{"sh", "-c", script}, nil).TooSoon, script)
	}
}

// exit with an argument that is not a number ends with a code of the shell itself.
func TestNoCode(t *testing.T) {
	require.Equal(t, "exit $x", Read([]string{"sh", "-c", "work; x=$(echo ?); curl -X POST localhost:15020/quitquitquit && exit $x"}, nil).NoCode)
	require.Empty(t, Read([]string{"sh", "-c", "work; x=$(echo $?); curl -X POST localhost:15020/quitquitquit && exit $x"}, nil).NoCode)
	require.Empty(t, Read([]string{"sh", "-c", "work; exit $(cat /tmp/code)"}, nil).NoCode)
}

func TestWrappers(t *testing.T) {
	linkerd := []string{"linkerd"}
	for _, c := range []struct {
		argv string
		env  map[string]string
		want Wrapper
	}{
		{"/jobmesh/jobmesh-wrap -- sh -c true", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute}},
		{"jobmesh-wrap --mesh linkerd --ready-url=none -- a", nil, Wrapper{Name: "jobmesh-wrap", Meshes: linkerd, Stops: Always, Bound: 2 * time.Minute}},
		{"jobmesh-wrap --mesh linkerd --stop-when=success -- a", nil, Wrapper{Name: "jobmesh-wrap", Meshes: linkerd, Stops: OnSuccess, Bound: 2 * time.Minute, Waits: true}},
		{"jobmesh-wrap --mesh=linkerd -- a", map[string]string{"JOBMESH_POD_LINKERD": ""}, Wrapper{Name: "jobmesh-wrap", Meshes: linkerd, Stops: Always, Bound: 2 * time.Minute, Waits: true}},
		{"jobmesh-wrap --mesh=linkerd -- a", map[string]string{"JOBMESH_STOP_WHEN": Unknown}, Wrapper{Name: "jobmesh-wrap", Meshes: linkerd, Stops: CannotTell, Bound: 2 * time.Minute, Waits: true}},
		{"jobmesh-wrap --mesh=vault-agent -- a", nil, Wrapper{Name: "jobmesh-wrap", Meshes: []string{"vault-agent"}, Stops: Always, Bound: 2 * time.Minute}},
		{"jobmesh-wrap -- a", map[string]string{"JOBMESH_POD_LINKERD": Unknown, "JOBMESH_POD_ISTIO": "false"}, Wrapper{Name: "jobmesh-wrap", Meshes: linkerd, Stops: Always, Bound: 2 * time.Minute}},
		{"jobmesh-wrap -- a", map[string]string{"JOBMESH_POD_LINKERD": ""}, Wrapper{Name: "jobmesh-wrap", Stops: Always, Bound: 2 * time.Minute}},
		{"jobmesh-wrap --mesh=none -- a", nil, Wrapper{Name: "jobmesh-wrap", Bound: 2 * time.Minute}},
		{"jobmesh-wrap -- a", map[string]string{"JOBMESH_STOP_WHEN": "never", "JOBMESH_READY_TIMEOUT": "0"}, Wrapper{Name: "jobmesh-wrap", Looks: true}},
		{"jobmesh-wrap --state-dir=/s --member=a --members=2 -- a", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute, Coordinated: true}},
		{"jobmesh-wrap --stop-process=istio-proxy -- a", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute, Asks: []Stop{{Tool: "jobmesh-wrap", Mesh: "istio", Signal: true}}}},
		{"jobmesh-wrap --stop-process=fluent-bit -- a", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute, Asks: []Stop{{Tool: "jobmesh-wrap", Mesh: "fluent-bit", Signal: true}}}},
		{"jobmesh-wrap --stop-process=shipper -- a", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute, Asks: []Stop{{Tool: "jobmesh-wrap", Mesh: "shipper", Signal: true}}, AsksElse: true}},
		{"jobmesh-wrap -- a", map[string]string{"JOBMESH_STOP": "POST http://127.0.0.1:9091/quitquitquit\nGET http://127.0.0.1:9/x"}, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: Always, Bound: 2 * time.Minute, Asks: []Stop{{Tool: "jobmesh-wrap", Mesh: "cloud-sql-proxy", Post: true}}, AsksElse: true}},
		{"jobmesh-wrap $(FLAGS) -- a", nil, Wrapper{Name: "jobmesh-wrap", Looks: true, Stops: CannotTell, Bound: 2 * time.Minute}},
		{"linkerd-await -S -t 5m -- a b", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Bound: 5 * time.Minute, Waits: true}},
		{"linkerd-await -Sv -- a -Sv", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Waits: true}},
		{"linkerd-await -t5m -S a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Bound: 5 * time.Minute, Waits: true}},
		{"linkerd-await -vSt 5m a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Bound: 5 * time.Minute, Waits: true}},
		{"linkerd-await --timeout 5m a -Sv", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Bound: 5 * time.Minute, Waits: true}},
		{"linkerd-await --timeout-fatal --shutdown -- a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Waits: true}},
		{"linkerd-await --timeout-fatal=false -- a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Waits: true}},
		{"linkerd-await -t 30s --timeout-fatal=false -- a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Bound: 30 * time.Second}},
		{"linkerd-await -S -- a $(X)", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: Always, Waits: true}},
		{"linkerd-await a $(X)", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: CannotTell}},
		{"linkerd-await -- a", nil, Wrapper{Name: "linkerd-await", Meshes: linkerd, Waits: true}},
		{"linkerd-await --shutdown -- a", map[string]string{"LINKERD_AWAIT_DISABLED": "yes"}, Wrapper{Name: "linkerd-await", Meshes: linkerd}},
		{"linkerd-await --shutdown -- a", map[string]string{"LINKERD_DISABLED": Unknown}, Wrapper{Name: "linkerd-await", Meshes: linkerd, Stops: CannotTell}},
		{"scuttle a", map[string]string{"ENVOY_ADMIN_API": "http://127.0.0.1:15000", "ISTIO_QUIT_API": "http://127.0.0.1:15020"}, Wrapper{Name: "scuttle", Stops: Always, Waits: true, Asks: []Stop{{Tool: "scuttle", Mesh: "istio", Post: true}}}},
		{"scuttle a", map[string]string{"ENVOY_ADMIN_API": "http://127.0.0.1:9901", "QUIT_WITHOUT_ENVOY_TIMEOUT": "5s"}, Wrapper{Name: "scuttle", Stops: Always, Waits: true, Bound: 5 * time.Second, Asks: []Stop{{Tool: "scuttle", Mesh: "istio", Signal: true}}}},
		{"scuttle a", map[string]string{"ENVOY_ADMIN_API": "http://127.0.0.1:15000", "WAIT_FOR_ENVOY_TIMEOUT": "5s"}, Wrapper{Name: "scuttle", Stops: Always, Bound: 5 * time.Second, Asks: []Stop{{Tool: "scuttle", Mesh: "istio", Signal: true}}, AsksElse: true}},
		{"scuttle a", map[string]string{"ISTIO_QUIT_API": "http://127.0.0.1:15020"}, Wrapper{Name: "scuttle"}},
		{"scuttle a", map[string]string{"ENVOY_ADMIN_API": "http://envoy.other:15000", "ISTIO_QUIT_API": "http://127.0.0.1:15020"}, Wrapper{Name: "scuttle"}},
		{"scuttle a", map[string]string{"ENVOY_ADMIN_API": "$(ADMIN)"}, Wrapper{Name: "scuttle", Stops: CannotTell, AsksElse: true}},
		{"scuttle a", map[string]string{"GENERIC_QUIT_ONLY": "true"}, Wrapper{Name: "scuttle", Stops: CannotTell, AsksElse: true}},
		{"scuttle a", nil, Wrapper{Name: "scuttle"}},
		{"envoy-preflight a", map[string]string{"ENVOY_ADMIN_API": "http://127.0.0.1:9901"}, Wrapper{Name: "envoy-preflight", Stops: OnSuccess, Waits: true, Asks: []Stop{{Tool: "envoy-preflight", Mesh: "kuma", Post: true}}}},
		{"envoy-preflight a", map[string]string{"ENVOY_KILL_API": "http://127.0.0.1:15020/quitquitquit"}, Wrapper{Name: "envoy-preflight"}},
		{"envoy-preflight a", map[string]string{"ENVOY_ADMIN_API": Unknown}, Wrapper{Name: "envoy-preflight", Stops: CannotTell, AsksElse: true}},
		{"tini -- scuttle a", nil, Wrapper{Name: "scuttle"}},
	} {
		t.Run(c.argv, func(t *testing.T) {
			r := Read(strings.Fields(c.argv), c.env)
			require.NotNil(t, r.Wrapper)
			got := *r.Wrapper
			got.Command = nil
			require.Equal(t, c.want, got)
		})
	}
	require.Nil(t, Read([]string{"/jobmesh-wrap", "install", "/jobmesh"}, nil).Wrapper)
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		argv []string
		env  map[string]string
		want []Refusal
	}{
		{argv: []string{"jobmesh-wrap", "a"}, want: []Refusal{{"jobmesh-wrap", `put -- before the command "a"`}}},
		{argv: []string{"jobmesh-wrap", "install"}, want: []Refusal{{"jobmesh-wrap", "install needs one argument, the directory to copy to, unless --state-dir is given"}}},
		{argv: []string{"jobmesh-wrap", "--", "a"}, env: map[string]string{"JOBMESH_QUIET": "yes"}, want: []Refusal{{"jobmesh-wrap", `JOBMESH_QUIET: "yes" is neither true nor false`}}},
		{argv: []string{"jobmesh-wrap", "--", "linkerd-await", "sh", "-c", "a"}, want: []Refusal{{"linkerd-await", "linkerd-await: unknown flag -c"}}},
		{argv: []string{"sh", "-c", "jobmesh-wrap --bogus -- a; jobmesh-wrap --bogus -- b"}, want: []Refusal{{"jobmesh-wrap", "unknown flag --bogus"}}},
		{argv: []string{"sh", "-c", "JOBMESH_MEMBER=a jobmesh-wrap -- b"}, want: []Refusal{{"jobmesh-wrap", "--state-dir, --member and --members go together: one of them is missing"}}},
		{argv: []string{"sh", "-c", `F="--mesh linkerd"; jobmesh-wrap $F -- a; jobmesh-wrap $G -- a; jobmesh-wrap --mesh="$G" -- a; exec jobmesh-wrap "$@"`, "sh", "--quiet", "--", "a"}},
		{argv: []string{"jobmesh-wrap", "--mesh=$(MESH)", "--", "a"}},
		{argv: []string{"jobmesh-wrap", "$(FLAG)", "a"}},
		{argv: []string{"jobmesh-wrap", "--", "a"}, env: map[string]string{"JOBMESH_READY_TIMEOUT": Unknown, "JOBMESH_STOP": "POST $(URL)"}},
		{argv: []string{"jobmesh-wrap", "--ready-timeout=$(T)", "--", "a"}, env: map[string]string{"T": "5x"}, want: []Refusal{{"jobmesh-wrap", `--ready-timeout: "5x" is not a duration such as 500ms, 30s or 2m`}}},
		{argv: []string{"linkerd-await", "-S"}, want: []Refusal{{"linkerd-await", "linkerd-await: --shutdown and --timeout-fatal need a command"}}},
		{argv: []string{"scuttle", "a"}, env: map[string]string{"ENVOY_ADMIN_API": "127.0.0.1:15000"}, want: []Refusal{{"scuttle", `ENVOY_ADMIN_API: "127.0.0.1:15000/server_info" does not start with http://`}}},
	} {
		require.Equal(t, c.want, Read(c.argv, c.env).Refusals, c.argv)
	}
}

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "B": "$(A)", "C.D-E": "2"}
	for text, want := range map[string]string{
		"$(A)$(B)": "1$(A)", "$$(A)": "$(A)", "$$$(A)": "$1", "$(X) $A ${A} $": "$(X) $A ${A} $", "$(C.D-E": "$(C.D-E", "a$(C.D-E)": "a2", "$()": "$()",
	} {
		require.Equal(t, want, Expand(text, env), text)
	}
}

func TestPrograms(t *testing.T) {
	r := Read([]string{"python", "-c", "requests.post('http://localhost:15020/quitquitquit')"}, nil)
	require.Equal(t, CannotTell, r.Outcome)
	require.Equal(t, []Stop{{Tool: "python", Mesh: "istio", Post: true}}, r.Stops)

	r = Read([]string{"sh", "/scripts/run.sh"}, nil)
	require.Equal(t, "sh /scripts/run.sh", r.Opaque)

	r = Read([]string{"sh", "-c", "$(SCRIPT)"}, map[string]string{"SCRIPT": "a; curl -d '' localhost:15020/quitquitquit"})
	require.True(t, r.LosesCode)

	require.True(t, Read([]string{"sh", "-c", "until nc -z db 5432; do sleep 1; done"}, nil).Network)
	require.False(t, Read([]string{"cp", "a", "b"}, nil).Network)
	require.Empty(t, Read(nil, nil).Programs)
	require.Equal(t, []string{"until curl -s localhost:15021/healthz/ready; do :; done"},
		Read([]string{"sh", "-c", "until curl -s localhost:15021/healthz/ready; do :; done; a"}, nil).WaitsFor)

	folded := Read([]string{"sh", "-c", "job --all curl -X POST http://localhost:15020/quitquitquit"}, nil)
	require.Equal(t, "curl", folded.Swallowed)
	require.Equal(t, Never, folded.Outcome)
	require.Empty(t, Read([]string{"sh", "-c", "job; retry 5 curl -X POST http://localhost:15020/quitquitquit"}, nil).Swallowed)

	get := Read([]string{"sh", "-c", "a; curl -s http://localhost:4191/shutdown"}, nil)
	require.Equal(t, []Stop{{Tool: "curl", Mesh: "linkerd"}}, get.Stops)
}

// The script of the chart's mode hook always stops the proxy, and keeps the code.
func TestHookOfTheChart(t *testing.T) {
	text, err := os.ReadFile("../../tests/golden/testdata/rendered/shell-hook.yaml")
	require.NoError(t, err)
	var job struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Command []string }
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &job))
	r := Read(job.Spec.Template.Spec.Containers[0].Command, nil)
	require.NotEqual(t, Never, r.Outcome)
	require.NotEqual(t, OnSuccess, r.Outcome)
	require.False(t, r.LosesCode)
}

// No script takes long; of one that would, lint says nothing.
func TestScriptsWithoutEnd(t *testing.T) {
	const quit = "\ncurl -X POST http://localhost:15020/quitquitquit"
	for name, text := range map[string]string{
		"calls itself twice":  "f() { f; f; }\nf" + quit,
		"in a substitution":   "f() { x=$(f)$(f); }\nf" + quit,
		"in a pipeline":       "f() { f | f; }\nf" + quit,
		"in itself by eval":   `f() { eval "f; f"; }` + "\nf" + quit,
		"many commands":       strings.Repeat("a; b && c || d\n", 4000) + quit,
		"many conditions":     strings.Repeat("if a; then b; else ", 30) + "c" + strings.Repeat("; fi", 30) + quit,
		"many open brackets":  strings.Repeat("(", 60_000),
		"many substitutions":  strings.Repeat("$(", 30_000),
		"many quotes":         strings.Repeat("\"$(", 20_000),
		"arithmetic":          strings.Repeat("((", 30_000),
		"many functions":      strings.Repeat("a() { b; }; a\n", 4000) + quit,
		"many variables":      strings.Repeat("a=$a$a\n", 4000) + "b $a" + quit,
		"variables that grow": "a=xxxxxxxx\n" + strings.Repeat("a=$a$a\n", 60) + "b $a" + quit,
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			Read([]string{"sh", "-ec", text}, nil)
			require.Less(t, time.Since(began), 2*time.Minute)
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("python app.py; curl -X POST http://localhost:15020/quitquitquit")
	f.Add("set -e; trap 'f' EXIT; f() { f; }; $(f) | f & wait; case $? in *) ;; esac")
	f.Add("eval 'eval \"$0\"'; . x; until [[ a == b ]]; do (( x )); done; exec \"$@\"")
	f.Fuzz(func(_ *testing.T, text string) {
		Read([]string{"sh", "-ec", text, "name", text}, map[string]string{"A": text})
		Read(strings.Fields(text), nil)
	})
}
