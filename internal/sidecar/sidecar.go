// Package sidecar is the table of helpers: programs that people put beside the work of a
// pod, such as a database proxy or a log shipper. For each it says how the program is known,
// under which flags it ends by itself, how it is ended by others and with which exit code,
// and when it is ready.
//
// A helper that is a proxy of internal/mesh too refers to its row there by name: where such a
// proxy answers when it is ready, and the request that stops it, are said there alone.
//
// What could not be found out is left out: an Ending with the code Unknown, or no Ending. Each
// row names the release that it was checked against, and where.
package sidecar

import (
	"path"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// A Helper is one row.
type Helper struct {
	// Name is what jobmesh calls it, and Title what its makers do.
	Name, Title string
	// Images are patterns of its image's repository, from the end: the registry, and the
	// folders in front, are anybody's. Each part is a pattern of path.Match; a tag behind a
	// colon has to match too.
	Images []string
	// Programs are the names of its program.
	Programs []string
	// Subcommand is the argument that makes a helper of a program that does other things
	// too. Empty where there is none.
	Subcommand string
	// Mesh names the row of internal/mesh that has the readiness check and the stop request
	// of this program. It is empty where no row has them.
	// OnlyProcess is set where that row has only the name of the process: the program itself
	// answers neither the check nor the request.
	Mesh        string
	OnlyProcess bool
	// Once are arguments with which it does its work once, or checks something, and ends:
	// words, one or several in a row; OnceForAll go for all helpers. OnceVariables are the
	// variables that say the same.
	Once, OnceVariables []string
	// Ends are the ways to end it, the best one first. None where none is known to work.
	Ends []Ending
	// Takes are flags that say how long it may take to end when it is asked to, in seconds or
	// as a duration.
	Takes []string
	// EndedBy says who ends it without being asked to. Empty where that is nobody.
	EndedBy string
	// Ready is the URL that answers a GET with 200 when it is ready. Empty where the row in
	// internal/mesh says it, or where nothing is known. ReadyNeeds is what has to be set
	// for that.
	Ready, ReadyNeeds string
	// Probe is how the kubelet, which does not ask from the loopback, can ask at the first of
	// ReadyURLs; nil where nobody has looked, or where it cannot.
	Probe *Probe
	// Flags are its flags that matter beside a Job. VariablePrefix opens the names of the
	// variables that say the same: Variable. Empty where there are none.
	Flags          []Flag
	VariablePrefix string
	// Note is what else one has to know.
	Note string
	// Checked is the release that the row was last compared with, and Sources where.
	// Checked is empty where no more is known than its name.
	Checked string
	Sources []string
}

// Unknown is the code of an Ending after which nobody has looked.
const Unknown = -1

// An Ending is a way to end a helper.
type Ending struct {
	// Signal is sent to the program, as in SIGTERM. Request is "METHOD URL". Where both are
	// empty, it is the stop request of the row in internal/mesh.
	Signal, Request string
	// Code is the exit code that the program then has, or Unknown.
	Code int
	// Needs is what has to be set for that. Empty where nothing has.
	Needs string
}

// Method is that of the request, "" where there is none.
func (e Ending) Method() string {
	method, _, _ := strings.Cut(e.Request, " ")
	return method
}

// At is the port and the path of the request.
func (e Ending) At() (port, path string) {
	_, rest, _ := strings.Cut(e.Request, "://")
	host, path, _ := strings.Cut(rest, "/")
	return host[strings.LastIndex(host, ":")+1:], "/" + path
}

// A Probe is what has to be true for the readiness of a helper to be asked by the kubelet.
type Probe struct {
	// Needs are the flags that make it answer there, with their values.
	Needs []string
	// Moved are flags, and the variables with the prefix of the row, with which it answers
	// elsewhere.
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

// Find returns the helper that a container runs, nil for any other program. programs are the
// names of the programs that its command starts, as far as the manifest has them; argv are
// all words of command and args.
//
// The programs decide where they are known. An image is only asked where they are not: where
// there is no command, or it is a script in a file of the image.
func Find(image string, programs, argv []string) *Helper {
	return FindIn(table, image, programs, argv)
}

// FindIn is Find for other rows than those of the table.
func FindIn(rows []Helper, image string, programs, argv []string) *Helper {
	hidden := !slices.ContainsFunc(programs, func(p string) bool { return !strings.HasSuffix(p, ".sh") })
	for i := range rows {
		h := &rows[i]
		runs := slices.ContainsFunc(programs, func(p string) bool { return slices.Contains(h.Programs, p) })
		if !runs && !(hidden && h.isImage(image)) {
			continue
		}
		if h.Subcommand == "" || has(strings.Join(argv, " "), h.Subcommand) {
			return h
		}
	}
	return nil
}

// OnceForAll are arguments with which every helper says something and ends.
func OnceForAll() []string { return []string{"--version", "--help"} }

// EndsItself tells whether the program, with these words of command and args and these
// variables, ends when it has done something once. A script may start it several times:
// each of these has to end.
func (h *Helper) EndsItself(argv []string, env map[string]string) bool {
	if slices.ContainsFunc(h.OnceVariables, func(name string) bool {
		yes, _ := mesh.Truthy.Bool(env[name])
		return yes
	}) {
		return true
	}
	return !slices.ContainsFunc(h.arguments(argv), func(arguments string) bool {
		return !slices.ContainsFunc(append(OnceForAll(), h.Once...), func(words string) bool { return has(arguments, words) })
	})
}

// arguments returns what the program is given each time that it is started: all words, where
// the image starts it.
func (h *Helper) arguments(argv []string) []string {
	line := strings.Join(argv, " ")
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

// CodeAfter is the exit code that the program has after a signal, of which set tells whether
// what it needs is set. It is not known for all programs.
func (h *Helper) CodeAfter(signal string, set func(needs string) bool) (code int, known bool) {
	for _, e := range h.Ends {
		if e.Signal == signal && (e.Needs == "" || set(e.Needs)) {
			return e.Code, e.Code != Unknown
		}
	}
	return Unknown, false
}

// WithZero is what has to be set for the exit code 0 after a signal, "" where nothing is
// known to help.
func (h *Helper) WithZero(signal string) string {
	for _, e := range h.Ends {
		if e.Signal == signal && e.Code == 0 {
			return e.Needs
		}
	}
	return ""
}

// Variable is the variable that says the same as a flag; "" where flags have none.
func (h *Helper) Variable(flag string) string {
	if h.VariablePrefix == "" {
		return ""
	}
	return h.VariablePrefix + strings.ToUpper(strings.ReplaceAll(strings.TrimLeft(flag, "-"), "-", "_"))
}

// ReadyURLs returns the URLs of which one answers a GET with 200 when the helper is ready,
// none where nothing is known.
func (h *Helper) ReadyURLs() []string {
	if h.Ready != "" || h.OnlyProcess {
		return slices.DeleteFunc([]string{h.Ready}, func(url string) bool { return url == "" })
	}
	m, _ := mesh.ByName(h.Mesh)
	return m.Ready
}

// StopRequest returns the request of an ending, "" for one by a signal.
func (h *Helper) StopRequest(e Ending) string {
	if e.Request != "" || e.Signal != "" {
		return e.Request
	}
	m, _ := mesh.ByName(h.Mesh)
	return m.Stop
}

// has tells whether words stand in a row among others. --flag=value is taken for --flag
// value, --flag=true for --flag, and --flag=false for nothing.
func has(line, words string) bool {
	line = strings.Join(strings.Fields(line), " ") + " "
	return strings.Contains(" "+strings.NewReplacer("=true ", " ", "=false ", "=false ", "=", " ").Replace(line), " "+words+" ")
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
