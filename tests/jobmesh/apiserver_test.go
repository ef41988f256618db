package jobmesh

import (
	"flag"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jobmesh/jobmesh/tests/apiserver"
)

// serverKey is the key under which a scenario stores its server.
type serverKey struct{}

// denials are the resources of repeated -deny flags.
type words []string

func (w *words) String() string         { return "" }
func (w *words) Set(value string) error { *w = append(*w, value); return nil }

// apiserver [-deny RESOURCE]... [-missing RESOURCE]... [-status CODE] [-hang] [-off DURATION] [-proxy PORT=CODE|silent|gone|deleted]... [-after-stop CODE]
// [-beside CODE] [-leaves NAME]... [-old] FILE... starts a server with these objects, and makes it that of $KUBECONFIG.
func startAPIServer(ts *testscript.TestScript, neg bool, args []string) {
	server := apiserver.New()
	flags := flag.NewFlagSet("apiserver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var((*words)(&server.Denied), "deny", "")
	flags.Var((*words)(&server.Missing), "missing", "")
	flags.IntVar(&server.Status, "status", 0, "")
	server.Proxies = map[string]int{}
	flags.Func("proxy", "", func(value string) error {
		port, code, _ := strings.Cut(value, "=")
		names := map[string]int{"silent": apiserver.Silent, "gone": apiserver.Gone, "deleted": apiserver.Deleted}
		n, known := names[code]
		var err error
		if !known {
			n, err = strconv.Atoi(code)
		}
		server.Proxies[port] = n
		return err
	})
	flags.IntVar(&server.Beside, "beside", 0, "")
	flags.IntVar(&server.AfterStop, "after-stop", 0, "")
	flags.Var((*words)(&server.Leaves), "leaves", "")
	flags.BoolVar(&server.Old, "old", false, "")
	flags.BoolVar(&server.Hangs, "hang", false, "")
	flags.DurationVar(&server.Off, "off", time.Duration(0), "")
	if err := flags.Parse(args); err != nil || neg {
		ts.Fatalf("usage: apiserver [-deny RESOURCE]... [-missing RESOURCE]... [-status CODE] [-hang] [-off DURATION] [-proxy PORT=CODE|silent|gone|deleted]... [-beside CODE] [-after-stop CODE] [-leaves NAME]... [-old] FILE...")
	}
	for _, file := range flags.Args() {
		ts.Check(server.Load(ts.ReadFile(file)))
	}
	ts.Defer(server.CloseClientConnections)
	ts.Defer(server.Close)
	config, err := server.Kubeconfig(ts.MkAbs("."))
	ts.Check(err)
	ts.Setenv("KUBECONFIG", config)
	ts.Value(serverKey{}).(*serverBox).server, ts.Value(serverKey{}).(*serverBox).seen = server, 0
}

// serverBox is the server that a scenario has started last, and the number of its requests that
// have been checked.
type serverBox struct {
	server *apiserver.Server
	seen   int
}

// requests [N] forgets the requests so far, or asserts that there were N since the last call.
func countRequests(ts *testscript.TestScript, neg bool, args []string) {
	box := ts.Value(serverKey{}).(*serverBox)
	all := box.server.Requests()
	if len(args) == 1 {
		if got := strconv.Itoa(len(all) - box.seen); got != args[0] || neg {
			ts.Fatalf("want %s requests, got %s: %v", args[0], got, all[box.seen:])
		}
	}
	box.seen = len(all)
}

// requested PATTERN looks for a request that the server of the scenario has had.
func wasRequested(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] requested PATTERN")
	}
	all := strings.Join(ts.Value(serverKey{}).(*serverBox).server.Requests(), "\n")
	if regexp.MustCompile(args[0]).MatchString(all) == neg {
		ts.Fatalf("requests were:\n%s", all)
	}
}

// kept NAMESPACE POD FILE writes a pod as the server of the scenario has it now.
func writePod(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: kept NAMESPACE POD FILE")
	}
	text, err := ts.Value(serverKey{}).(*serverBox).server.Pod(args[0], args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o600))
}
