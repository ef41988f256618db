package wrap

import (
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/smallfile"
)

// A logger writes one line an event to stderr. It never sees the command's
// arguments or environment, which may hold secrets.
type logger struct {
	json  bool
	quiet bool // errors only
	// warnings adds them to what is written where quiet is set.
	warnings bool
	// stalled is set while nobody reads stderr. The first line waits for a reader, and the
	// lines after it do not.
	stalled bool
	// noNote is set once a line has said that the termination log cannot be written.
	noNote bool
}

// A severity says whom a line is for.
type severity string

const (
	info    severity = "info"
	warning severity = "warning"
	failure severity = "error"
)

// An event is one line of the log.
type event struct {
	severity severity
	// name is stable, for those who search logs.
	name string
	// text is one sentence.
	text string
	// took is how long what the event ends had lasted; 0 where it ends nothing.
	took time.Duration
	// hint is something to do about it.
	hint string
}

func (l *logger) log(e event) {
	e.text, e.hint = shown(e.text), shown(e.hint)
	if e.severity == failure && !l.noNote {
		if err := noteTermination(e); err != nil {
			l.noNote = true
			defer l.log(event{severity: failure, name: "termination-log", text: terminationLog + " " + err.Error() + ": nothing is written there"})
		}
	}
	if l.quiet && e.severity != failure && !(l.warnings && e.severity == warning) {
		return
	}
	l.write(l.format(e, time.Now()))
}

// shown makes a text fit for the log. It may repeat a value that somebody has set, with
// control characters or a password in it.
func shown(text string) string { return printable.Text(printable.WithoutPasswords(text)) }

// write writes a line to stderr. The command shares that stream, so the wrapper may not make
// it non-blocking. A stream that is closed, that nobody reads, or that is full for longer
// than stderrLimit must not hold up the command or the stop: the rest of the line is lost,
// and so are the lines after it until there is room again. It does not use os.Stderr, which
// would end the wrapper with SIGPIPE where nobody reads.
func (l *logger) write(text string) {
	deadline := time.Now()
	if !l.stalled {
		deadline = deadline.Add(stderrLimit)
	}
	for rest := []byte(text); len(rest) > 0; {
		if l.stalled = !writable(2, deadline); l.stalled {
			return
		}
		n, err := syscall.Write(2, rest[:min(len(rest), pipeBuffer)])
		switch {
		case err == nil:
			rest = rest[n:]
		case err == syscall.EAGAIN && time.Now().Before(deadline):
			time.Sleep(time.Millisecond) // somebody else has taken the room
		case err != syscall.EINTR:
			return
		}
	}
}

const (
	stderrLimit = time.Second
	// pipeBuffer is what a pipe that poll calls writable takes without blocking
	// (PIPE_BUF of Linux).
	pipeBuffer = 4096
)

// writable waits until a write to a stream would not block: until the stream takes
// something, or the write would fail. It looks at least once. Where a seccomp filter forbids
// the question, it says yes, and the write shows what happens.
func writable(fd int32, deadline time.Time) bool {
	const out = 0x4 // POLLOUT
	for {
		poll := struct {
			fd              int32
			events, revents int16
		}{fd: fd, events: out}
		left := syscall.NsecToTimespec(max(time.Until(deadline), 0).Nanoseconds())
		n, _, err := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&left)), 0, 0, 0)
		if err == syscall.EINTR && time.Now().Before(deadline) {
			continue
		}
		return n > 0 || err != 0 && err != syscall.EINTR
	}
}

func (l *logger) format(e event, now time.Time) string {
	if l.json {
		line := `{"time":"` + now.UTC().Format("2006-01-02T15:04:05.000Z") + `","level":"` + string(e.severity) +
			`","event":"` + e.name + `","message":` + quoteJSON(e.text)
		if e.took > 0 {
			line += `,"duration_ms":` + milliseconds(e.took)
		}
		if e.hint != "" {
			line += `,"hint":` + quoteJSON(e.hint)
		}
		return line + "}\n"
	}
	line := "jobmesh-wrap: "
	if e.severity != info {
		line += string(e.severity) + ": "
	}
	line += e.text + "\n"
	if e.hint != "" {
		line += "hint: " + e.hint + "\n"
	}
	return line
}

// milliseconds writes a duration as a number with three decimals.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}

// quoteJSON writes a JSON string. encoding/json would add 0.5 MB.
func quoteJSON(s string) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			out = append(out, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			// An invalid byte arrives here as U+FFFD, which is valid JSON.
			out = append(out, string(r)...)
		}
	}
	return string(append(out, '"'))
}

// show gives a duration the precision people read: 412ms, 12.4s, 3m20s.
func show(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// terminationLog is where Kubernetes looks for a container's last words.
const (
	terminationLog      = "/dev/termination-log"
	terminationLogLimit = 4096 // what the kubelet reads
)

// noteTermination appends an error to the termination message, behind what the command may
// have written there. It does so where the file exists, may be written and has room, and is
// silent otherwise; it returns an error only where something else than a file stands there.
func noteTermination(e event) error {
	fd, err := smallfile.Open(terminationLog, syscall.O_WRONLY|syscall.O_APPEND|syscall.O_NOFOLLOW)
	if smallfile.NotRegular(err) {
		return smallfile.ErrNotRegular
	}
	if err != nil {
		return nil
	}
	defer closeFile(fd)
	text := "jobmesh-wrap: " + e.text + "\n"
	if e.hint != "" {
		text += "hint: " + e.hint + "\n"
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err == nil && stat.Size+int64(len(text)) <= terminationLogLimit {
		_, _ = syscall.Write(fd, []byte(text))
	}
	return nil
}
