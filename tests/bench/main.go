// Command bench measures the wrapper on this machine, beside a direct start and
// tini in the same run, and prints what is published of its peers next to it.
//
// Times are medians of many starts, taken in turn so that a busy moment hits
// every row. Compare rows, not machines. Each heading has the budget, which is for
// a machine that does nothing else, and what was measured of linkerd-await 0.3.3 beside
// linkerd2-proxy 2.366.0 on two cores of such a machine. What is said of scuttle and
// kubexit was measured of their releases in the same way. Where docs/pictures has the
// figures too, they are taken from there.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/ci/figures"
	"github.com/jobmesh/jobmesh/internal/image"
)

// notReady is the wrapper's exit code for a proxy that was not ready in time.
const notReady = 69

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return errors.New("the wrapper is a Linux program; run this on Linux")
	}
	dir, err := os.MkdirTemp("", "jobmesh-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	wrapper := filepath.Join(dir, "jobmesh-wrap")
	recipe, err := image.LoadRecipe(".", "jobmesh-wrap", "bench", "")
	if err != nil {
		return err
	}
	arguments := append([]string{"build"}, recipe.GoFlags()...)
	build := exec.CommandContext(ctx, "go", append(arguments, "-o", wrapper, recipe.Package)...)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build of the wrapper: %w", err)
	}
	for _, part := range []func(context.Context, string) error{sizes, latency, delay, waiting, reaping, memory} {
		if err := part(ctx, wrapper); err != nil {
			return err
		}
	}
	return nil
}

// peers are the published figures of other wrappers. The program runs at the root of the
// repository, where they stand in a file.
func peers(chart string) string {
	published, err := figures.Read(".")
	if err != nil {
		return err.Error()
	}
	line, err := published.Peers(chart)
	if err != nil {
		return err.Error()
	}
	return line
}

// table prints rows as they come, the first as its heading.
func table(title string, rows ...[]string) {
	fmt.Printf("\n%s\n", title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, "  "+strings.Join(row, "\t")) // stdout; nothing to do about it
	}
	_ = w.Flush()
}

func sizes(_ context.Context, wrapper string) error {
	content, err := os.ReadFile(wrapper)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	table("size, stripped, in bytes; at most 2,200,000 and 1,000,000 (in MB: "+peers("size")+"; linkerd-await packed 1,045,991)",
		[]string{"", "file", "gzip -9"},
		[]string{"jobmesh-wrap", strconv.Itoa(len(content)), strconv.Itoa(packed.Len())})
	return nil
}

// A fakeProxy answers the readiness check and the stop request. It is a
// stand-in that carries no traffic.
type fakeProxy struct {
	addr    string
	server  *http.Server
	readyAt atomic.Int64
}

func startProxy(ready time.Duration) (*fakeProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &fakeProxy{addr: listener.Addr().String()}
	p.readyAt.Store(time.Now().Add(ready).UnixNano())
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/shutdown" {
			_ = listener.Close() // gone before the answer, like a proxy that is quick
			return
		}
		if time.Now().UnixNano() < p.readyAt.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *fakeProxy) wrap(wrapper string, argv ...string) []string {
	return append([]string{wrapper, "--quiet", "--ready-url=http://" + p.addr + "/ready", "--stop=POST http://" + p.addr + "/shutdown", "--"}, argv...)
}

func latency(ctx context.Context, wrapper string) error {
	const rounds = 200
	type row struct {
		name  string
		argv  func() ([]string, func(), error)
		times []time.Duration
	}
	plain := func(argv ...string) func() ([]string, func(), error) {
		return func() ([]string, func(), error) { return argv, func() {}, nil }
	}
	rows := []*row{
		{name: "direct", argv: plain("/bin/true")},
		{name: "jobmesh-wrap, no mesh", argv: plain(wrapper, "--quiet", "--mesh=none", "--", "/bin/true")},
		{name: "jobmesh-wrap, proxy ready and stopped", argv: func() ([]string, func(), error) {
			p, err := startProxy(0)
			if err != nil {
				return nil, nil, err
			}
			return p.wrap(wrapper, "/bin/true"), func() { _ = p.server.Close() }, nil
		}},
	}
	if tini, err := exec.LookPath("tini"); err == nil {
		rows = slices.Insert(rows, 1, &row{name: "tini", argv: plain(tini, "-s", "/bin/true")})
	}
	for range rounds {
		for _, r := range rows {
			argv, done, err := r.argv()
			if err != nil {
				return err
			}
			start := time.Now()
			err = exec.CommandContext(ctx, argv[0], argv[1:]...).Run()
			r.times = append(r.times, time.Since(start))
			done()
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	direct := median(rows[0].times)
	out := [][]string{{"", "start to end", "added", "ratio"}}
	for _, r := range rows {
		m := median(r.times)
		out = append(out, []string{r.name, ms(m), ms(m - direct), fmt.Sprintf("%.1f", float64(m)/float64(direct))})
	}
	table(fmt.Sprintf("time around /bin/true, median of %d; added at most 1.8 ms without a mesh, 5 ms with a proxy (with one, in ms: %s; linkerd-await without 0.64)", rounds, peers("time")), out...)
	return nil
}

func delay(ctx context.Context, wrapper string) error {
	const rounds = 20
	out := [][]string{{"proxy ready after", "median delay", "p99", "largest", "CPU while waiting"}}
	for _, ready := range []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second} {
		var delays []time.Duration
		var busy, waited time.Duration
		// Side by side, but few enough not to disturb each other.
		for range rounds / 4 {
			type sample struct {
				delay, cpu time.Duration
				err        error
			}
			samples := make(chan sample, 4)
			for range cap(samples) {
				go func() {
					p, err := startProxy(ready)
					if err != nil {
						samples <- sample{err: err}
						return
					}
					defer func() { _ = p.server.Close() }()
					argv := p.wrap(wrapper, "date", "+%s%N")
					cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
					text, err := cmd.Output()
					if err != nil {
						samples <- sample{err: err}
						return
					}
					at, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
					usage := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
					samples <- sample{delay: time.Duration(at - p.readyAt.Load()), cpu: usage, err: err}
				}()
			}
			for range cap(samples) {
				s := <-samples
				if s.err != nil {
					return s.err
				}
				delays = append(delays, s.delay)
				busy, waited = busy+s.cpu, waited+ready
			}
		}
		out = append(out, []string{ready.String(), ms(median(delays)), ms(ninetyNinth(delays)), ms(slices.Max(delays)), fmt.Sprintf("%.2f %%", 100*float64(busy)/float64(waited))})
	}
	table("from proxy ready to command started, start of the command included; at most 10 ms, p99 25 ms, 0.8 % of a core (linkerd-await 500 to 660 ms, p99 990 ms, 0.05 %; scuttle 400 to 11,300 ms)", out...)
	return nil
}

// waiting measures what a wait costs, all lengths side by side. The first row is
// the start of the program, which the others have too.
func waiting(ctx context.Context, wrapper string) error {
	p, err := startProxy(time.Hour)
	if err != nil {
		return err
	}
	defer func() { _ = p.server.Close() }()
	gone, err := startProxy(0)
	if err != nil {
		return err
	}
	_ = gone.server.Close() // its port refuses from here on
	limits := []time.Duration{time.Millisecond, 2 * time.Second, 10 * time.Second, 30 * time.Second, 2 * time.Minute}
	used := make([][2]time.Duration, len(limits))
	var group errgroup.Group
	for i, limit := range limits {
		for j, at := range []*fakeProxy{p, gone} {
			group.Go(func() error {
				cmd := exec.CommandContext(ctx, wrapper, "--ready-url=http://"+at.addr+"/ready", "--ready-timeout="+limit.String(), "--stop-when=never", "--", "true")
				if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != notReady {
					return fmt.Errorf("a wait of %s ended otherwise: %w", limit, err)
				}
				used[i][j] = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	share := func(used, limit time.Duration) string {
		return fmt.Sprintf("%s, %.2f %%", ms(used), 100*float64(used)/float64(limit))
	}
	out := [][]string{{"waited for", "answered 503", "refused"}, {"nothing", ms(used[0][0]), ms(used[0][1])}}
	for i, limit := range limits[1:] {
		out = append(out, []string{limit.String(), share(used[i+1][0], limit), share(used[i+1][1], limit)})
	}
	table("CPU of a wait, of one core; at most 0.8 %", out...)
	return nil
}

// reaping measures what orphans cost the wrapper, their own work not counted.
func reaping(ctx context.Context, wrapper string) error {
	const span = 5 * time.Second
	const script = "while :; do for i in 1 2 3 4 5 6 7 8 9 10; do (true &); done; sleep 0.05; done"
	cmd := exec.CommandContext(ctx, wrapper, "--quiet", "--mesh=none", "--kill-after=1s", "--", "bash", "-c", script)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // bash ends, and with it the wrapper
		_ = cmd.Wait()
	}()
	time.Sleep(span)
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", cmd.Process.Pid))
	if err != nil {
		return err
	}
	var busy time.Duration
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(text), " ") // nanoseconds on a processor
		spent, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return err
		}
		busy += time.Duration(spent)
	}
	table("CPU while nearly 200 orphans a second are reaped, of one core",
		[]string{"jobmesh-wrap", fmt.Sprintf("%.2f %%", 100*float64(busy)/float64(span))})
	return nil
}

func memory(ctx context.Context, wrapper string) error {
	p, err := startProxy(0)
	if err != nil {
		return err
	}
	defer func() { _ = p.server.Close() }()
	argv := p.wrap(wrapper, "sleep", "60")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt) // sleep ends, and with it the wrapper
		_ = cmd.Wait()
	}()
	time.Sleep(1500 * time.Millisecond)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return err
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", cmd.Process.Pid))
	if err != nil {
		return err
	}
	table("memory while the command runs, in kB; anonymous at most 1200 on up to 16 processors, at most 10 threads (resident, in MB: "+peers("memory")+")",
		[]string{"", "resident", "anonymous", "threads"},
		[]string{"jobmesh-wrap", field(status, "VmRSS:"), field(rollup, "Anonymous:"), field(status, "Threads:")})
	return nil
}

func field(text []byte, name string) string {
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return fields[1]
		}
	}
	return "?"
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// ninetyNinth is the time that 99 of 100 do not exceed.
func ninetyNinth(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(99*len(sorted)+99)/100-1]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }
