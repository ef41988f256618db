package script

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Stop is a call that asks a proxy to end, or that kills it.
type Stop struct {
	// Tool is the program that makes the call: curl, pilot-agent, pkill.
	Tool string
	// Mesh is whose proxy it is; empty where the call does not tell, as with
	// Envoy's /quitquitquit on a port from a variable.
	Mesh string
	// Signal is set where the proxy is killed rather than asked.
	Signal bool
	// Post is false where the request is surely a GET, which no proxy obeys.
	Post bool
}

// endpoints are what the proxies take for the request to stop, by a part of the
// URL, the most telling first.
var endpoints = []struct {
	part *regexp.Regexp
	mesh string
}{
	{regexp.MustCompile(`:?15020\}?/quitquitquit`), "istio"},
	{regexp.MustCompile(`:?15000\}?/quitquitquit`), "istio"},
	{regexp.MustCompile(`:?9901\}?/quitquitquit`), "kuma"},
	{regexp.MustCompile(`:?9091\}?/quitquitquit`), "cloud-sql-proxy"},
	{regexp.MustCompile(`/v1\.0/shutdown`), "dapr"},
	{regexp.MustCompile(`/graceful_shutdown`), "consul"},
	{regexp.MustCompile(`/agent/v1/quit`), "vault-agent"},
	{regexp.MustCompile(`4191\}?/shutdown`), "linkerd"},
	{regexp.MustCompile(`(localhost|127\.0\.0\.1|LINKERD[A-Z_]*\}?):[^/ ]*/shutdown`), "linkerd"},
	{regexp.MustCompile(`quitquitquit`), ""},
}

// deaf are ports of the proxies where nothing obeys that request: Istio's traffic,
// readiness and metrics, and Linkerd's, which has another word for it.
var deaf = regexp.MustCompile(`:(15001|15006|15021|15090|4140|4143|4190|4191|9902)/quitquitquit`)

// processes are the proxies by the names that a signal is sent to.
var processes = []struct{ name, mesh string }{
	{"pilot-agent", "istio"}, {"istio-proxy", "istio"},
	{"linkerd2-proxy", "linkerd"}, {"linkerd-proxy", "linkerd"},
	{"kuma-dp", "kuma"}, {"consul-dataplane", "consul"}, {"daprd", "dapr"},
	{"cloud_sql_proxy", "cloud-sql-proxy"}, {"cloud-sql-proxy", "cloud-sql-proxy"},
	{"vault agent", "vault-agent"}, {"envoy", ""},
}

// ready recognises a request to a proxy's readiness endpoint, which is waiting,
// not work.
var ready = regexp.MustCompile(`:?(15021|15020|15000|4191|9901|9902|19000|3500|20600|9090)\}?/(ready|live|healthz|server_info|v1\.0/healthz|startup|readiness)|/healthz/ready|/v1\.0/healthz`)

// stopIn returns the stop request that a text holds.
func stopIn(text string) (mesh string, found bool) {
	if !strings.Contains(text, "quit") && !strings.Contains(text, "shutdown") {
		return "", false
	}
	for _, e := range endpoints {
		if e.part.MatchString(text) {
			return e.mesh, e.mesh != "" || !deaf.MatchString(text)
		}
	}
	return "", false
}

// stopOf tells whether a command stops a proxy. source is its text as written,
// which holds what stands in command substitutions.
func stopOf(words []string, source string) (Stop, bool) {
	tool := base(words)
	switch tool {
	case "":
		return Stop{}, false
	case "pkill", "killall", "kill":
		for _, p := range processes {
			if strings.Contains(source, p.name) {
				return Stop{Tool: tool, Mesh: p.mesh, Signal: true}, true
			}
		}
		return Stop{}, false
	case "pilot-agent":
		if slices.Contains(words, "quitquitquit") || slices.Contains(words, "/quitquitquit") {
			return Stop{Tool: tool, Mesh: "istio", Post: slices.Contains(words, "POST")}, true
		}
		return Stop{}, false
	case "echo", "printf", "test", "[", "export", "local", "readonly", "declare", "trap", "alias", "grep", "sed", "awk", ":":
		return Stop{}, false
	}
	mesh, found := stopIn(strings.Join(words, " "))
	if !found || swallowed(words) != "" {
		return Stop{}, false
	}
	return Stop{Tool: tool, Mesh: mesh, Post: posts(tool, words)}, true
}

// The request that is written by hand: printf 'POST /quitquitquit HTTP/1.1...' | nc
// localhost 15020.
var (
	requestLine = regexp.MustCompile(`POST (/[^ ]+)`)
	rawClient   = regexp.MustCompile(`^(?:busybox )?(nc|ncat|netcat|telnet|socat)\b.*?[ :](\d{4,5})\b`)
)

// stopByHand tells whether a pipeline sends a request that stops a proxy.
func stopByHand(left, right string) (Stop, bool) {
	line, client := requestLine.FindStringSubmatch(left), rawClient.FindStringSubmatch(right)
	if line == nil || client == nil {
		return Stop{}, false
	}
	mesh, found := stopIn("localhost:" + client[2] + line[1])
	return Stop{Tool: client[1], Mesh: mesh, Post: true}, found
}

// runners run what their arguments say.
var runners = []string{"retry", "watch", "flock", "parallel", "find", "chroot", "ssh", "strace", "unshare", "setpriv", "runuser", "su"}

// swallowed returns the client that is an argument of another program, as when a
// folded scalar (>) has made one line of two commands. It is not run.
func swallowed(words []string) string {
	words = unprefixed(words)
	if len(words) < 2 {
		return ""
	}
	name := path.Base(words[0])
	if name == "curl" || name == "wget" || slices.Contains(runners, name) {
		return ""
	}
	for _, w := range words[1:] {
		if w == "curl" || w == "wget" {
			return w
		}
	}
	return ""
}

// posts tells whether a request is, or may be, a POST.
func posts(tool string, words []string) bool {
	short := func(letter string) bool {
		return slices.ContainsFunc(words, func(w string) bool {
			return strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, letter)
		})
	}
	long := func(prefix string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, prefix) })
	}
	switch tool {
	case "curl":
		return short("X") || short("d") || short("F") || long("--request") || long("--data") || long("--json") || long("--form")
	case "wget":
		return long("--post") || long("--method") || long("--body")
	}
	return true
}

// base is the name of a command's program, behind what only runs another.
func base(words []string) string {
	words = unprefixed(words)
	if len(words) == 0 {
		return ""
	}
	return path.Base(words[0])
}

// unprefixed drops programs that run the rest of their arguments unchanged.
func unprefixed(words []string) []string {
	for len(words) > 0 {
		switch path.Base(words[0]) {
		case "exec", "command", "builtin", "nohup", "time", "sudo", "setsid", "busybox", "stdbuf", "tini", "dumb-init", "catatonit", "ionice", "chronic", "xargs", "gosu", "su-exec":
			words = words[1:]
		case "nice", "env":
			words = words[1:]
			for len(words) > 0 && strings.Contains(words[0], "=") {
				words = words[1:]
			}
		case "timeout":
			words = words[1:]
			for len(words) > 0 && strings.HasPrefix(words[0], "-") {
				words = words[1:]
			}
			if len(words) > 0 {
				words = words[1:] // the duration
			}
		default:
			return words
		}
		for len(words) > 0 && strings.HasPrefix(words[0], "-") {
			words = words[1:]
		}
	}
	return words
}

// neutral are commands whose failure is nobody's result: they prepare, wait and
// tell.
var neutral = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`: . [ [[ true false echo printf export unset set shift local readonly
		declare typeset trap cd pwd sleep test read umask ulimit date mkdir touch cat ls ps pgrep pidof
		kill wait hostname whoami id tee grep egrep head tail cut tr sed awk sort uniq wc shopt hash type
		which getopts return exit break continue let alias env printenv basename dirname jobs pkill killall`) {
		neutral[name] = true
	}
}

// network are commands that are of no use without one.
var network = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`curl wget nc ncat netcat telnet nslookup dig ping psql pg_isready
		pg_dump pg_restore mysql mysqladmin mysqldump mongo mongosh redis-cli git svn ssh scp sftp rsync aws
		gsutil gcloud az kubectl helm pip pip3 npm yarn apt-get apt apk yum dnf wait-for-it wait-for-it.sh
		wait-for wait-for.sh wait4x dockerize rclone s3cmd mc flyway liquibase vault consul kafka-topics.sh
		nats etcdctl grpcurl http httpie cqlsh sqlcmd clickhouse-client`) {
		network[name] = true
	}
}
