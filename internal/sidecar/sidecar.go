// Package sidecar is the table of helpers: programs that people run beside the work of a pod,
// such as a database proxy or a log shipper. A row says how the program is recognised, with
// which flags it ends by itself, how others end it and with which exit code, and when it is
// ready.
//
// A helper that is also a proxy of internal/mesh names its row there. That row alone has the
// readiness check and the stop request.
//
// What could not be found out is left out: the exit code of an Ending is Unknown, or there is
// no Ending. Each row names the release that it was checked against, and its sources.
package sidecar

import (
	"path"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// A Helper is one row of the table.
type Helper struct {
	// Name is the name that jobmesh uses, and Title the one that the makers use.
	Name, Title string
	// Images are patterns for the end of the image's repository, because the registry and the
	// folders in front differ from user to user. Each path element is a pattern of path.Match;
	// a tag behind a colon has to match too.
	Images []string
	// Programs are the names of its executable.
	Programs []string
	// Subcommand is the argument with which a program of many purposes runs as this helper. It
	// is empty where the program has no other purpose.
	Subcommand string
	// Mesh names the row of internal/mesh that has the readiness check and the stop request of
	// this program. It is empty where there is no such row. OnlyProcess says that only the
	// process name of that row holds: the program itself answers neither the check nor the
	// request.
	Mesh        string
	OnlyProcess bool
	// Once are arguments with which the program does one thing, such as a check, or going to the
	// background, and ends. An
	// element may be several words in sequence. OnceForAll has the ones that hold for all
	// helpers. OnceVariables are the environment variables with the same effect.
	Once, OnceVariables []string
	// Ends are the known ways to end the program, the best one first.
	Ends []Ending
	// Takes are the flags that set how long a requested end may take, in seconds or as a
	// duration.
	Takes []string
	// EndedBy names who ends the program without a request. It is empty where nobody does.
	EndedBy string
	// Ready is the URL that answers a GET with 200 when the program is ready. It is empty where
	// the row in internal/mesh has it, or where it is not known. ReadyNeeds is what has to be
	// set before Ready answers.
	Ready, ReadyNeeds string
	// Probe says how the kubelet, which does not connect over the loopback, can ask the first
	// of ReadyURLs. It is nil where it cannot, or where nobody has checked.
	Probe *Probe
	// Flags are the flags of the program that matter beside a Job. VariablePrefix is the prefix
	// of the environment variables that do the same as flags (see Variable). It is empty where
	// there are no such variables.
	Flags          []Flag
	VariablePrefix string
	// Note is anything else that a user has to know.
	Note string
	// Checked is the release that the row was last compared with; it is empty where only the
	// name is known. Sources says where.
	Checked string
	Sources []string
}

// Unknown is the Code of an Ending whose exit code nobody has checked.
const Unknown = -1

// An Ending is a way to end a helper.
type Ending struct {
	// Signal is sent to the program, such as SIGTERM. Request is "METHOD URL". Where both are
	// empty, the request is the stop request of the row in internal/mesh.
	Signal, Request string
	// Code is the exit code that the program then ends with, or Unknown.
	Code int
	// Needs is what has to be set for this ending to work. It is empty where nothing has to be.
	Needs string
}

// Method returns the method of the request, and "" where there is no request.
func (e Ending) Method() string {
	method, _, _ := strings.Cut(e.Request, " ")
	return method
}

// At returns the port and the path of the request.
func (e Ending) At() (port, path string) {
	_, rest, _ := strings.Cut(e.Request, "://")
	host, path, _ := strings.Cut(rest, "/")
	return host[strings.LastIndex(host, ":")+1:], "/" + path
}

// A Probe is what a pod needs so that the kubelet can check the readiness of a helper.
type Probe struct {
	// Needs are the flags, with their values, that make the program listen where the kubelet
	// can reach it.
	Needs []string
	// Moved are the flags that move the endpoint elsewhere. The variables with the row's prefix
	// count too.
	Moved []string
}

// A Flag is a flag of a helper's program, and what it does.
type Flag struct{ Name, What string }

// All returns the rows in the order of the table. The caller must not change them.
func All() []Helper { return table }

// Names returns the names in the order of the table.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return names
}

// Find returns the helper that a container runs, and nil for any other program. The parameter
// programs has the names of the programs that its command starts, as far as the manifest says;
// argv has all words of command and args.
//
// Where the programs are known, they decide. The image decides only where they are not: where
// there is no command, or where the command is a script in a file of the image.
func Find(image string, programs, argv []string) *Helper {
	return FindIn(table, image, programs, argv)
}

// FindIn is Find over other rows than those of the table.
func FindIn(rows []Helper, image string, programs, argv []string) *Helper {
	hidden := !slices.ContainsFunc(programs, func(p string) bool { return !strings.HasSuffix(p, ".sh") })
	for i := range rows {
		h := &rows[i]
		runs := slices.ContainsFunc(programs, func(p string) bool { return slices.Contains(h.Programs, p) })
		if !runs && !(hidden && h.isImage(image)) {
			continue
		}
		if h.IsAsked(strings.Join(argv, " ")) {
			return h
		}
	}
	return nil
}

// OnceForAll returns the arguments with which every helper prints something and ends.
func OnceForAll() []string { return []string{"--version", "--help"} }

// EndsItself tells whether the program, with these words of command and args and these
// environment variables, does one thing and ends. A script may start the program several times;
// then each of these runs has to end.
func (h *Helper) EndsItself(argv []string, env map[string]string) bool {
	if slices.ContainsFunc(h.OnceVariables, func(name string) bool {
		yes, _ := mesh.Truthy.Bool(env[name])
		return yes
	}) {
		return true
	}
	return !slices.ContainsFunc(h.arguments(argv), func(arguments string) bool {
		return !slices.ContainsFunc(append(OnceForAll(), h.Once...), func(words string) bool { return Has(arguments, words) })
	})
}

// arguments returns the arguments of each run of the program. Where the image starts it, that
// is one run with all words.
func (h *Helper) arguments(argv []string) []string {
	line := strings.ReplaceAll(strings.Join(argv, " "), "\\\n", " ")
	var all []string
	for _, command := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(";&|\n", r) }) {
		words := strings.Fields(command)
		if i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(h.Programs, path.Base(w)) }); i >= 0 {
			all = append(all, strings.Join(words[i+1:], " "))
		}
	}
	if all == nil {
		return []string{line}
	}
	return all
}

// CodeAfter returns the program's exit code after a signal. The function set tells whether what
// an ending needs is set. The bool is false where the code is not known.
func (h *Helper) CodeAfter(signal string, set func(needs string) bool) (code int, known bool) {
	for _, e := range h.Ends {
		if e.Signal == signal && (e.Needs == "" || set(e.Needs)) {
			return e.Code, e.Code != Unknown
		}
	}
	return Unknown, false
}

// WithZero returns what has to be set so that a signal ends the program with exit code 0, and
// "" where nothing is known to do that.
func (h *Helper) WithZero(signal string) string {
	for _, e := range h.Ends {
		if e.Signal == signal && e.Code == 0 {
			return e.Needs
		}
	}
	return ""
}

// Variable returns the environment variable that does the same as a flag, and "" where the
// program has none.
func (h *Helper) Variable(flag string) string {
	if h.VariablePrefix == "" {
		return ""
	}
	return h.VariablePrefix + strings.ToUpper(strings.ReplaceAll(strings.TrimLeft(flag, "-"), "-", "_"))
}

// ReadyURLs returns the URLs of which one answers a GET with 200 when the helper is ready, and
// nil where none is known.
func (h *Helper) ReadyURLs() []string {
	if h.Ready != "" || h.OnlyProcess {
		return slices.DeleteFunc([]string{h.Ready}, func(url string) bool { return url == "" })
	}
	m, _ := mesh.ByName(h.Mesh)
	return m.Ready
}

// StopRequest returns the request of an ending, and "" for an ending by a signal.
func (h *Helper) StopRequest(e Ending) string {
	if e.Request != "" || e.Signal != "" {
		return e.Request
	}
	m, _ := mesh.ByName(h.Mesh)
	return m.Stop
}

// Has tells whether words stand next to each other in a line. It takes --flag=value for --flag
// value, --flag=true for --flag, and ignores --flag=false.
func Has(line, words string) bool { return strings.Contains(normal(line), " "+words+" ") }

// normal returns the words of a line with one space around each, and flags as Has takes them.
func normal(line string) string {
	line = strings.Join(strings.Fields(line), " ") + " "
	return " " + strings.NewReplacer("=true ", " ", "=false ", "=false ", "=", " ").Replace(line)
}

// isImage tells whether an image reference matches one of the patterns.
func (h *Helper) isImage(image string) bool {
	image, _, _ = strings.Cut(strings.ToLower(image), "@")
	repository, tag := image, ""
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		repository, tag = image[:at], image[at+1:]
	}
	parts := strings.Split(repository, "/")
	return slices.ContainsFunc(h.Images, func(pattern string) bool {
		repository, wanted, tagged := strings.Cut(pattern, ":")
		if tagged && !matches(wanted, tag) {
			return false
		}
		patterns := strings.Split(repository, "/")
		if len(patterns) > len(parts) {
			return false
		}
		for i, p := range patterns {
			if !matches(p, parts[len(parts)-len(patterns)+i]) {
				return false
			}
		}
		return true
	})
}

func matches(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}
