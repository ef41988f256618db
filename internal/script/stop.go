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
	// Mesh is the mesh of the proxy. It is empty where the call does not show it, as with
	// Envoy's /quitquitquit on a port from a variable.
	Mesh string
	// Signal says that the proxy is killed and not asked.
	Signal bool
	// Post is false where the request certainly is a GET, which no proxy accepts.
	Post bool
	// Looks is set for a wrapper that stops the first proxy that it finds.
	Looks bool
}

// stopsOf returns the stops that a command performs: several where it sends a signal to several
// programs. The parameter source is its text as written, which has the content of command
// substitutions.
func stopsOf(words []string, source string) []Stop {
	tool := base(words)
	if m, ok := known.clients[tool]; ok {
		_, _, path := m.StopURL()
		if !slices.ContainsFunc(words, func(w string) bool { return "/"+strings.TrimPrefix(w, "/") == path }) {
			return nil
		}
		return []Stop{{Tool: tool, Mesh: m.Name, Post: slices.Contains(words, "POST")}}
	}
	switch tool {
	case "":
		return nil
	case "pkill", "killall", "kill":
		return killed(tool, unprefixed(words), source)
	case "echo", "printf", "test", "[", "export", "local", "readonly", "declare", "trap", "alias", "grep", "sed", "awk", ":":
		return nil
	}
	name, found := stopIn(strings.Join(words, " "))
	if !found || swallowed(words) != "" {
		return nil
	}
	return []Stop{{Tool: tool, Mesh: name, Post: posts(tool, words)}}
}

// These match a request that is written by hand: printf 'POST /quitquitquit HTTP/1.1...' | nc
// localhost 15020.
var (
	requestLine = regexp.MustCompile(`(GET|POST|PUT) (/[^ ]+)`)
	rawClient   = regexp.MustCompile(`^(?:busybox )?(nc|ncat|netcat|telnet|socat)\b.*?[ :](\d{4,5})\b`)
)

// stopByHand tells whether a pipeline sends a request that stops a proxy.
func stopByHand(left, right string) (Stop, bool) {
	client := rawClient.FindStringSubmatch(right)
	if client == nil {
		return Stop{}, false
	}
	return request(client[1], client[2], left)
}

// request tells whether a text is a request that stops the proxy on a port.
func request(tool, port, text string) (Stop, bool) {
	line := requestLine.FindStringSubmatch(text)
	if line == nil {
		return Stop{}, false
	}
	name, found := stopIn("localhost:" + port + line[2])
	return Stop{Tool: tool, Mesh: name, Post: line[1] == "POST"}, found
}

// runners are programs that run the command in their arguments.
var runners = []string{"retry", "watch", "flock", "parallel", "find", "chroot", "ssh", "strace", "unshare", "setpriv", "runuser", "su", "fortio", "nsenter", "kubectl", "docker", "crictl"}

// swallowed returns the client that is an argument of another program, for example because a
// folded scalar (>) has made one line of two commands. That client is not run.
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
	case "fortio":
		return slices.Contains(words, "-X") || slices.Contains(words, "--X") || long("-payload") || long("-content-type") || long("-X=") || long("-data-dir")
	}
	return true
}

// base returns the name of a command's program, without the programs in front that only run
// another one.
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
		case "exec", "command", "builtin", "nohup", "time", "sudo", "setsid", "busybox", "stdbuf", "tini", "dumb-init", "catatonit", "ionice", "chronic", "xargs", "gosu", "su-exec", "kubexit":
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
				words = words[1:] // the duration is dropped too
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

// neutral are commands that prepare, wait or print. Their failure is not a result of the work.
var neutral = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`: . [ [[ true false echo printf export unset set shift local readonly
		declare typeset trap cd pwd sleep test read umask ulimit date mkdir touch cat ls ps pgrep pidof
		kill wait hostname whoami id tee grep egrep head tail cut tr sed awk sort uniq wc shopt hash type
		which getopts return exit break continue let alias env printenv basename dirname jobs pkill killall
		cmp diff stat mountpoint seq chmod chown mktemp`) {
		neutral[name] = true
	}
	for _, name := range strings.Fields(`test [ ls pgrep pidof ps id type which hash grep egrep read getopts stat cmp diff mountpoint`) {
		asking[name] = true
	}
}

// asking are neutral commands whose code is an answer in a condition.
var asking = map[string]bool{}

// network are commands that are useless without a network, by name or pattern.
var network = strings.Fields(`curl wget nc ncat netcat telnet nslookup dig ping psql pg_isready
	pg_dump pg_restore mysql mysqladmin mysqldump mariadb mariadb-admin mongo mongosh redis-cli valkey-cli git svn ssh scp
	sftp rsync aws gsutil gcloud az kubectl helm pip pip3 npm yarn apt-get apt apk yum dnf wait4x dockerize rclone s3cmd
	mc flyway liquibase vault consul nats etcdctl grpcurl grpc_health_probe http httpie cqlsh sqlcmd clickhouse-client
	wait-for wait-for-* wait_for wait_for_* waitfor* wait-port check-*-ready check-*-ready.sh check_*_ready* *-wait-for-*
	kafka-*.sh kafka-topics kafka-broker-api-versions cub temporal-*-tool tctl temporal alembic goose dbmate atlas sqitch
	prisma skeema cockroach rabbitmqctl rabbitmq-diagnostics rabbitmqadmin amtool nodetool`)

// tasks are programs that need a network for some tasks: the name, and a word of the command
// line.
var tasks = map[string][]string{
	"python": {"migrate", "wait_for_db"}, "python3": {"migrate", "wait_for_db"}, "manage.py": {"migrate", "wait_for_db"},
	"rails": {"db:migrate"}, "rake": {"db:migrate"}, "bundle": {"db:migrate"}, "npx": {"prisma", "knex", "typeorm", "sequelize"},
	"airflow": {"check", "check-migrations", "migrate"},
}

// needsNetwork tells whether a command is useless without a network.
func needsNetwork(words []string) bool {
	words = unprefixed(words)
	if len(words) == 0 {
		return false
	}
	name := path.Base(words[0])
	return MayNeedNetwork(name) || slices.ContainsFunc(tasks[name], func(task string) bool { return slices.Contains(words, task) })
}

// MayNeedNetwork tells whether a program, or a container by its name, is useless without a
// network.
func MayNeedNetwork(name string) bool {
	return slices.ContainsFunc(network, func(pattern string) bool {
		if !strings.Contains(pattern, "*") {
			return pattern == name
		}
		matches, err := path.Match(pattern, name)
		return matches && err == nil
	})
}
