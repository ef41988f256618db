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
	// Looks is set for a wrapper that stops the first proxy that it finds.
	Looks bool
}

// stopOf tells whether a command stops a proxy. source is its text as written,
// which holds what stands in command substitutions.
func stopOf(words []string, source string) (Stop, bool) {
	tool := base(words)
	if m, ok := known.clients[tool]; ok {
		_, _, path := m.StopURL()
		asks := slices.ContainsFunc(words, func(w string) bool { return "/"+strings.TrimPrefix(w, "/") == path })
		return Stop{Tool: tool, Mesh: m.Name, Post: slices.Contains(words, "POST")}, asks
	}
	switch tool {
	case "":
		return Stop{}, false
	case "pkill", "killall", "kill":
		for _, p := range known.processes {
			if strings.Contains(source, p.name) {
				return Stop{Tool: tool, Mesh: p.mesh, Signal: true}, true
			}
		}
		return Stop{}, false
	case "echo", "printf", "test", "[", "export", "local", "readonly", "declare", "trap", "alias", "grep", "sed", "awk", ":":
		return Stop{}, false
	}
	name, found := stopIn(strings.Join(words, " "))
	if !found || swallowed(words) != "" {
		return Stop{}, false
	}
	return Stop{Tool: tool, Mesh: name, Post: posts(tool, words)}, true
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
	name, found := stopIn("localhost:" + client[2] + line[1])
	return Stop{Tool: client[1], Mesh: name, Post: true}, found
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
