package wrap

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// becomeReaper asks the kernel to make orphans children of this process. PID 1 gets them
// anyway; in a pod whose containers share a process namespace the wrapper is not PID 1.
// Where the kernel refuses, orphans go to another process, and nothing else is lost.
func becomeReaper() {
	const prSetChildSubreaper = 36
	if os.Getpid() != 1 {
		_, _, _ = syscall.Syscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0)
	}
}

// A child is the command while it runs.
type child struct {
	*run
	pid int
	due schedule
	// terminating is set once the command was asked to end, and killing once it will be
	// killed unless it ends in time.
	terminating, killing bool
	// lost is set once a proxy has gone that the command cannot do without.
	lost bool
}

// runCommand starts the command, passes signals on to it and reaps every child that ends,
// until the command itself has ended. It returns the exit code that stands for its end.
func (r *run) runCommand(path string, argv, env []string) (code int, failed *startError) {
	runtime.UnlockOSThread() // this process stays, and needs its first thread no more
	becomeReaper()
	r.signals.takeAll()
	start := time.Now()
	// The kernel kills the command when the thread that started it ends, as it does with
	// all others when PID 1 ends. The Go runtime ends no thread before that.
	pid, err := startChild(path, argv, env, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	if err == syscall.EPERM || err == syscall.ENOSYS || err == syscall.EINVAL {
		pid, err = startChild(path, argv, env, nil) // a seccomp filter may forbid prctl
	}
	if err != nil {
		return 0, explainStart(argv[0], path, err)
	}
	r.started = true
	r.logEvent(event{severity: info, name: "command-started", text: "command started"})
	c := &child{run: r, pid: pid}
	if r.plan.watches(r.opts) {
		c.due.add(watchPause, c.watch)
	}
	status := c.attend()
	code = r.commandEnded(status, time.Since(start))
	if c.lost {
		code = codeNotReady
	}
	endOrphans()
	return code, nil
}

func startChild(path string, argv, env []string, how *syscall.SysProcAttr) (pid int, err error) {
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}, Sys: how})
}

// attend forwards signals, reaps children and runs the schedule until the command has
// ended.
func (c *child) attend() syscall.WaitStatus {
	for {
		switch s := c.signals.await(c.due.next()); s {
		case 0:
		case syscall.SIGCHLD:
			if status, ended := reap(c.pid); ended {
				return status
			}
		default:
			c.signal(s)
		}
		c.due.run()
	}
}

// signal sends the command a signal. The command is not reaped yet, so no other process
// can have its pid.
func (c *child) signal(s syscall.Signal) {
	_ = syscall.Kill(c.pid, s)
	if s == syscall.SIGTERM && c.opts.KillAfter > 0 && !c.killing {
		c.killing = true
		c.due.add(c.opts.KillAfter, c.kill)
	}
	c.terminating = c.terminating || slices.Contains(endSignals, s)
}

// kill kills a command that has not ended in time.
func (c *child) kill() {
	c.logEvent(event{severity: warning, name: "command-killed",
		text: "command still there " + show(c.opts.KillAfter) + " after SIGTERM: killed"})
	c.signal(syscall.SIGKILL)
}

// watchPause is the pause between two looks whether the proxies are there.
const watchPause = 250 * time.Millisecond

// watch ends the command when a proxy has gone: when it has refused connections twice in a
// row. One that comes back in between was restarted by the kubelet. A command that was
// asked to end is left alone, because in a pod that is being deleted proxies end too.
func (c *child) watch() {
	if c.terminating {
		return
	}
	for i := range c.plan.proxies {
		p := &c.plan.proxies[i]
		if !p.watched() {
			continue
		}
		if p.listensAt() != "" {
			p.missed = 0
		} else if p.missed++; p.missed == 2 {
			c.lost = true
			c.logEvent(event{severity: failure, name: "proxy-lost",
				text: p.name + " is gone while the command runs: nobody listens at " + p.ready[0].URL.Text + " any more; the command is ended",
				hint: "look at the proxy container's log; --on-proxy-lost run leaves the command alone"})
			c.signal(syscall.SIGTERM)
			return
		}
	}
	c.due.add(watchPause, c.watch)
}

// listensAt returns a URL of its readiness, or of its fallback's, at which a proxy still
// listens, or "" where it listens at none of them any more.
func (p *proxy) listensAt() string {
	const limit = 50 * time.Millisecond
	all := p.ready
	if p.fallback != nil {
		all = append(slices.Clone(all), *p.fallback)
	}
	for _, request := range all {
		if !request.Refused(limit) {
			return request.URL.Text
		}
	}
	return ""
}

// A schedule is a list of things that are to be done once, each at its own time.
type schedule []task

type task struct {
	at time.Time
	do func()
}

func (s *schedule) add(in time.Duration, do func()) {
	*s = append(*s, task{at: time.Now().Add(in), do: do})
}

// next returns the time until something is due, or a day where nothing is.
func (s schedule) next() time.Duration {
	wait := 24 * time.Hour
	for _, t := range s {
		wait = min(wait, time.Until(t.at))
	}
	return wait
}

// run does everything that is due. What it does may add to the schedule.
func (s *schedule) run() {
	all := *s
	*s = nil
	for _, t := range all {
		if time.Now().Before(t.at) {
			*s = append(*s, t)
		} else {
			t.do()
		}
	}
}

// endOrphans ends the processes that the command left behind: SIGTERM first, and SIGKILL
// half a second later, which is all that the kernel would send when PID 1 ends. Their
// half-open connections would keep a proxy draining for minutes (linkerd2 issue 8033).
// Where this process is not PID 1 the signals would reach other containers, so it does
// nothing.
func endOrphans() {
	const everybody, grace = -1, 500 * time.Millisecond
	if os.Getpid() != 1 || syscall.Kill(everybody, syscall.SIGTERM) == syscall.ESRCH {
		return
	}
	// PID 1 is the parent of every process that is left, and has to reap them all.
	if !awaitGone(time.Now().Add(grace), func(time.Duration) bool {
		reap(0)
		return syscall.Kill(everybody, 0) == syscall.ESRCH
	}) {
		_ = syscall.Kill(everybody, syscall.SIGKILL)
	}
}

// reap waits for every child that has ended, orphans included. It returns the status of
// the process pid, and whether that one was among them.
func reap(pid int) (status syscall.WaitStatus, ended bool) {
	for {
		var s syscall.WaitStatus
		child, err := syscall.Wait4(-1, &s, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || child <= 0:
			return status, ended
		case child == pid:
			status, ended = s, true
		}
	}
}

func (r *run) commandEnded(status syscall.WaitStatus, took time.Duration) (code int) {
	e := event{severity: info, name: "command-ended", took: took}
	if status.Signaled() {
		code = codeSignal + int(status.Signal())
		e.text = "command ended by " + signalName(status.Signal()) + " after " + show(took)
	} else {
		code = status.ExitStatus()
		e.text = "command exited " + itoa(code) + " after " + show(took)
	}
	r.logEvent(e)
	return code
}

// A startError says why a command could not be started, with the exit code
// that a shell would give.
type startError struct {
	code int
	text string
	hint string
}

// lookPath finds the command the way execvp does: a name with a slash is a
// path, any other is searched in PATH.
func lookPath(name string, env environment) (string, *startError) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	search, ok := env.lookup("PATH")
	if !ok {
		// What container runtimes set where an image sets nothing.
		search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	var unusable *startError
	if name != "" {
		for dir := range strings.SplitSeq(search, ":") {
			if dir == "" {
				dir = "."
			}
			path := dir + "/" + name
			const executable = 1
			if syscall.Access(path, executable) == nil && !isDir(path) {
				return path, nil
			}
			if unusable == nil && exists(path) && !isDir(path) {
				unusable = &startError{code: codeNotExecutable, text: "command " + strconv.Quote(path) + " is not executable"}
			}
		}
	}
	if unusable != nil {
		return "", unusable
	}
	return "", &startError{
		code: codeNotFound,
		text: "command " + strconv.Quote(name) + " not found in PATH",
		hint: "give its whole path, or look at PATH in the image",
	}
}

// explainStart turns the kernel's refusal to start a command into words. The kernel's own
// words mislead where a script's interpreter is missing: "no such file".
func explainStart(name, path string, err error) *startError {
	e := &startError{code: codeNotExecutable}
	name = strconv.Quote(name) // it may hold anything
	switch {
	case (err == syscall.ENOENT || err == syscall.ENOTDIR) && !exists(path):
		e.code, e.text = codeNotFound, "command "+name+" not found"
	case err == syscall.ENOENT:
		e.text = "command " + name + " cannot start: its interpreter or loader is not in the image"
	case isDir(path):
		e.text = "command " + name + " is a directory"
	case err == syscall.EACCES:
		e.text = "command " + name + " is not executable"
	case err == syscall.ENOEXEC:
		e.text = "command " + name + " is not a program for this machine, nor a script with a #! line"
	case err == syscall.EAGAIN || err == syscall.ENOMEM:
		e.text = "command " + name + " cannot start: " + err.Error()
		e.hint = "the container has reached its limit on processes or memory"
	default:
		e.text = "command " + name + " cannot start: " + err.Error()
	}
	return e
}

func exists(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil
}

func isDir(path string) bool {
	var st syscall.Stat_t
	return syscall.Stat(path, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR
}
