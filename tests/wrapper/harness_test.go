// Package wrapper tests the wrapper's binary from outside: its effects on a command and on a
// proxy, its exit code and its log.
package wrapper

import (
	"bytes"
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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
	// The go command does not see the binary that the tests run. Because of this import, a
	// change of the binary's source runs the tests again.
	_ "github.com/jobmesh/jobmesh/internal/wrap"
)

// binary is the wrapper, built once with the release's flags.
var binary string

// underRace says that the wrapper is built with the race detector, as ci/race does. Its size,
// memory and threads then differ from those of a release.
var underRace = os.Getenv("JOBMESH_TEST_RACE") != ""

// releaseFlags returns the flags of a release build.
func releaseFlags() ([]string, error) {
	recipe, err := image.LoadRecipe("../..", "jobmesh-wrap", "1.2.3", "")
	return recipe.GoFlags(), err
}

// apart is set in the process that runs the tests in a network namespace of its own.
const apart = "JOBMESH_TEST_APART"

func TestMain(m *testing.M) {
	// The process that runs the tests may ignore these two signals, as under nohup or in the
	// background of a shell. Its children would then ignore them too. A signal that is caught
	// here is not ignored there.
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	if os.Getenv(apart) == "" {
		if code, ok := runApart(); ok {
			os.Exit(code)
		}
	} else if err := loopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, "loopback:", err)
		os.Exit(1)
	}
	code := 1
	dir, err := buildWrapper()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build of the wrapper:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// runApart runs the tests again in a network namespace, where the meshes' ports are free
// whatever else runs on this machine. Where that is not permitted, they run in this one.
func runApart() (code int, ok bool) {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		// The user namespace gives the permission to create the network namespace. User ids
		// stay as they are, and loopbackUp drops the only capability.
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attributes.AmbientCaps = []uintptr{netAdmin}
	}
	try := exec.Command("true")
	try.SysProcAttr = attributes
	if try.Run() != nil {
		return 0, false
	}
	// Pdeathsig refers to the thread that forks.
	runtime.LockOSThread()
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.SysProcAttr = attributes
	again.Env = append(os.Environ(), apart+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := again.Run(); err != nil && again.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "tests in a network of their own:", err)
		return 1, true
	}
	return again.ProcessState.ExitCode(), true
}

// netAdmin is the capability to set up a network, CAP_NET_ADMIN.
const netAdmin = 12

// loopbackUp does what "ip link set lo up" does, because ip may not be installed. The
// capability that the tests got for it is not passed on to their children.
func loopbackUp() error {
	defer func() {
		const prCapAmbient, clearAll = 47, 4
		_, _, _ = syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, prCapAmbient, clearAll, 0, 0, 0, 0)
	}()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	var request struct { // struct ifreq
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

func buildWrapper() (dir string, err error) {
	flags, err := releaseFlags()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "jobmesh-wrap-test"); err != nil {
		return "", err
	}
	// Every user may execute it, because some tests drop their user id.
	if err := os.Chmod(dir, 0o755); err != nil {
		return dir, err
	}
	binary = filepath.Join(dir, "jobmesh-wrap")
	arguments := append([]string{"build"}, flags...)
	build := exec.Command("go", append(arguments, "-o", binary, "github.com/jobmesh/jobmesh/cmd/jobmesh-wrap")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if underRace {
		build = exec.Command("go", "build", "-race", "-ldflags=-X main.version=1.2.3", "-o", binary, "github.com/jobmesh/jobmesh/cmd/jobmesh-wrap")
	}
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return dir, err
	}
	return dir, os.Chmod(binary, 0o755) // whatever the umask is
}

// tooLong is longer than anything here takes, however busy the machine is: a process that still
// runs then hangs. A test which shows that something is not waited for gives it a longer limit.
const tooLong = 2 * time.Minute

// beyond is such a longer limit, as the value of a flag.
const beyond = "10m"

// A proxy is a stand-in with the admin endpoints of a mesh proxy. It behaves as those endpoints
// do, and carries no traffic.
type proxy struct {
	t      *testing.T
	server *http.Server
	addr   string

	listener net.Listener // its listener; nil means a free port

	mu         sync.Mutex
	readyAt    time.Time
	readyCode  int    // status of the answer once it is ready; 0 means 200
	readyBody  string // body of that answer; empty means that of Envoy and of Google's proxies
	stopCodes  []int  // statuses of the answers to stop requests, in order; the last one repeats
	stays      bool   // does not end after an accepted stop request
	hangs      bool   // accepts stop requests and never answers
	mute       bool   // closes the connection of a stop request without an answer
	readySeen  []time.Time
	stopSeen   []time.Time
	stopHeader http.Header
	stopHost   string
	stopLine   string
	shutdown   string   // body for /env.json: the value of Linkerd's switch
	paths      []string // paths of the requests so far
}

// startProxy starts a proxy that is ready after a delay. An empty address means a free port of
// the loopback.
func startProxy(t *testing.T, addr string, ready time.Duration, change ...func(*proxy)) *proxy {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	p := &proxy{t: t, readyAt: time.Now().Add(ready), stopCodes: []int{200}}
	for _, c := range change {
		c(p)
	}
	if p.listener == nil {
		p.listener = listen(t, addr)
	}
	p.addr = p.listener.Addr().String()
	p.server = &http.Server{Handler: p}
	go func() { _ = p.server.Serve(p.listener) }()
	t.Cleanup(p.close)
	return p
}

// close stops the proxy and frees its port. A server that is closed before it has begun to
// serve does not close its listener at once, so that is closed too.
func (p *proxy) close() {
	_ = p.server.Close()
	_ = p.listener.Close()
}

// listen listens at an address. Outside a network namespace of their own, the tests share the
// meshes' ports with other programs on this machine. A test is skipped if its port is taken.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	switch {
	case strings.HasPrefix(addr, "[") && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
		t.Skip("needs IPv6: ", err)
	case os.Getenv(apart) == "" && errors.Is(err, syscall.EADDRINUSE):
		t.Skip("needs a port that somebody else on this machine has, or leave to make a network namespace: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// reservePort takes a free port of the loopback that refuses connections until listen is
// called. A port that was only looked up could be taken by another program by then.
func reservePort(t *testing.T) (addr string, listen func() net.Listener) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	reserved := os.NewFile(uintptr(fd), "reserved port")
	t.Cleanup(func() { _ = reserved.Close() })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	return fmt.Sprint("127.0.0.1:", name.(*syscall.SockaddrInet4).Port), func() net.Listener {
		assert.NoError(t, syscall.Listen(fd, 16))
		listener, err := net.FileListener(reserved)
		assert.NoError(t, err)
		_ = reserved.Close() // the listener has a duplicate
		return listener
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paths = append(p.paths, r.URL.Path)
	switch r.URL.Path {
	case "/ready", "/healthz/ready", "/v1.0/healthz/outbound", "/startup":
		now := time.Now()
		p.readySeen = append(p.readySeen, now)
		code := http.StatusServiceUnavailable
		if !now.Before(p.readyAt) {
			if code = p.readyCode; code == 0 {
				code = http.StatusOK
			}
		}
		w.WriteHeader(code)
		switch {
		case code != http.StatusOK:
		case p.readyBody != "":
			_, _ = fmt.Fprint(w, p.readyBody)
		case r.URL.Path == "/startup":
			_, _ = fmt.Fprint(w, "ok")
		default:
			_, _ = fmt.Fprintln(w, "LIVE")
		}
	case "/shutdown", "/quitquitquit", "/graceful_shutdown", "/v1.0/shutdown", "/agent/v1/quit":
		p.stopSeen = append(p.stopSeen, time.Now())
		p.stopHeader, p.stopHost = r.Header.Clone(), r.Host
		p.stopLine = r.Method + " " + r.RequestURI + " " + r.Proto
		code := p.stopCodes[min(len(p.stopSeen), len(p.stopCodes))-1]
		switch {
		case p.hangs:
			p.mu.Unlock()
			<-r.Context().Done()
			p.mu.Lock()
			return
		case p.mute:
			go p.close()
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(code)
		if code == http.StatusOK && !p.stays {
			// It stops listening at once, and still sends this answer.
			go func() { _ = p.server.Shutdown(context.Background()) }()
		}
	case "/env.json":
		_, _ = fmt.Fprintf(w, `{%q:%s}`, r.URL.RawQuery, p.shutdown)
	case "/server_info":
		now := time.Now()
		p.readySeen = append(p.readySeen, now)
		state := "PRE_INITIALIZING"
		if !now.Before(p.readyAt) {
			state = "LIVE"
		}
		_, _ = fmt.Fprintf(w, `{"version":"x","state":%q,"command_line_options":{"state":"x"}}`, state)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *proxy) stops() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.stopSeen)
}

// asked counts the requests for a path.
func (p *proxy) asked(path string) (times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, asked := range p.paths {
		if asked == path {
			times++
		}
	}
	return times
}

func (p *proxy) looks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.readySeen)
}

// untilStopped waits until the proxy gets a stop request, and returns the number of them. A
// wrapper in a hurry does not wait until the server has seen its request.
func (p *proxy) untilStopped() int {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return p.stops() > 0 }, tooLong, time.Millisecond, "nobody asks it to stop")
	return p.stops()
}

// untilAsked waits for one more readiness request.
func (p *proxy) untilAsked() {
	p.t.Helper()
	before := p.looks()
	require.Eventually(p.t, func() bool { return p.looks() > before }, tooLong, time.Millisecond, "nobody asks")
}

// becomesReady makes the proxy ready from now on.
func (p *proxy) becomesReady() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readyAt = time.Now()
}

// waitedFor asserts that readiness was asked until the proxy was ready. The proxy's clock
// starts before the wrapper's, so the wrapper's duration says little.
func (p *proxy) waitedFor() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.readySeen) == 0 || p.readySeen[len(p.readySeen)-1].Before(p.readyAt) {
		p.t.Error("nobody waited for the proxy to be ready")
	}
}

// flags returns the flags with which the wrapper uses this proxy.
func (p *proxy) flags() []string {
	return []string{"--ready-url=http://" + p.addr + "/ready", "--stop=POST http://" + p.addr + "/shutdown"}
}

// A process is a started wrapper.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	started time.Time
	stdout  bytes.Buffer
	stderr  lockedBuffer
}

// A lockedBuffer can be read while a process still writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A result is how a process has ended.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

// command prepares the wrapper with an environment that only has PATH.
func command(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...)}
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	if underRace {
		p.env("GORACE=atexit_sleep_ms=0") // the race detector would sleep for a second at each exit
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// A grandchild that outlives the wrapper must not block the test.
	p.cmd.WaitDelay = 10 * time.Second
	return p
}

// asInit makes the process PID 1 of a namespace of its own, as in a container.
func (p *process) asInit() *process {
	p.t.Helper()
	if p.cmd.SysProcAttr = initAttributes(); p.cmd.SysProcAttr == nil {
		p.t.Skip("needs root, or user namespaces, for a PID namespace of its own")
	}
	return p
}

// withMounts gives the process a mount namespace of its own, beside its PID namespace.
func (p *process) withMounts() *process {
	p.t.Helper()
	attributes := *p.asInit().cmd.SysProcAttr
	attributes.Cloneflags |= syscall.CLONE_NEWNS
	if os.Geteuid() == 0 {
		attributes.Unshareflags = syscall.CLONE_NEWNS // makes the mounts private
	}
	p.cmd.SysProcAttr = &attributes
	return p
}

// initAttributes are what makes a process PID 1, or nil where nobody lets us.
var initAttributes = sync.OnceValue(func() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		// Root of a user namespace may mount in it, as some tests do.
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	try := exec.Command("true")
	try.SysProcAttr = attributes
	if try.Run() != nil {
		return nil
	}
	return attributes
})

func (p *process) env(entries ...string) *process {
	p.cmd.Env = append(p.cmd.Env, entries...)
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	p.started = time.Now()
	require.NoError(p.t, p.cmd.Start())
	p.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// until waits for a text on the process's stderr.
func (p *process) until(text string) *process {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return strings.Contains(p.stderr.String(), text) },
		tooLong, time.Millisecond, "stderr never had %q", text)
	return p
}

// untilSignal waits until the process catches or blocks a signal, and so decides what
// becomes of it.
func (p *process) untilSignal(signal syscall.Signal) *process {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return minds(p.cmd.Process.Pid, signal) },
		tooLong, time.Millisecond, "nobody minds signal %d", signal)
	return p
}

// minds reports whether a process catches or blocks a signal.
func minds(pid int, signal syscall.Signal) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		name, mask, _ := strings.Cut(line, ":")
		if name == "SigBlk" || name == "SigCgt" {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if err == nil && bits&(1<<(signal-1)) != 0 {
				return true
			}
		}
	}
	return false
}

// A gate holds a shell script until the test opens it.
type gate struct {
	t    *testing.T
	path string
}

func newGate(t *testing.T) gate {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755)) // for a command of another user
	return gate{t, filepath.Join(dir, "open")}
}

// wait is the line of the script that waits.
func (g gate) wait() string { return "until [ -e '" + g.path + "' ]; do sleep 0.01; done; " }

func (g gate) open() {
	g.t.Helper()
	require.NoError(g.t, os.WriteFile(g.path, nil, 0o644))
}

func (p *process) wait() result {
	p.t.Helper()
	hangs := time.AfterFunc(tooLong, func() { _ = p.cmd.Process.Kill() })
	err := p.cmd.Wait()
	if !hangs.Stop() {
		p.t.Errorf("still there after %s\n%s", tooLong, p.stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		require.NoError(p.t, err)
	}
	code := p.cmd.ProcessState.ExitCode()
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		// The wrapper handed over to the command, which was then killed.
		code = 128 + int(status.Signal())
	}
	return result{code: code, stdout: p.stdout.String(), stderr: p.stderr.String(), took: time.Since(p.started)}
}

// notUnderRace leaves out what is true of the release's binary alone.
func notUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector's build has another size, other threads and more memory")
	}
}

func (p *process) run() result {
	p.t.Helper()
	return p.start().wait()
}

// wrapped is a wrapper in front of a command beside a proxy.
func wrapped(t *testing.T, p *proxy, flags []string, argv ...string) *process {
	t.Helper()
	args := append(p.flags(), flags...)
	return command(t, append(append(args, "--"), argv...)...)
}
