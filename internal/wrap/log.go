package wrap

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/printable"
)

// A logger writes one line an event to stderr. It never sees the command's
// arguments or environment, which may hold secrets.
type logger struct {
	json  bool
	quiet bool
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
	if e.severity == failure {
		noteTermination(e)
	}
	if l.quiet && e.severity != failure {
		return
	}
	writeAll(2, l.format(e, time.Now()))
}

// shown is a text that may repeat what was set, such as a URL that is not one.
func shown(text string) string { return printable.Text(printable.WithoutPasswords(text)) }

// writeAll writes to a stream. One that is closed, a pipe nobody reads (for which
// os would raise SIGPIPE), or one that is full and must not block, is no reason to
// fail the Job.
func writeAll(fd int, text string) {
	const limit = time.Second
	start := time.Now()
	for rest := []byte(text); len(rest) > 0; {
		n, err := syscall.Write(fd, rest)
		switch {
		case err == nil:
			rest = rest[n:]
		case err == syscall.EAGAIN && time.Since(start) < limit:
			nap(time.Millisecond)
		case err != syscall.EINTR:
			return
		}
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

// noteTermination appends an error to the termination message, behind what the
// command may have written there, where the file exists and has room.
func noteTermination(e event) {
	f, err := os.OpenFile(terminationLog, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // best effort, like the whole of it
	text := "jobmesh-wrap: " + e.text + "\n"
	if e.hint != "" {
		text += "hint: " + e.hint + "\n"
	}
	if at, err := f.Seek(0, 2); err == nil && at+int64(len(text)) <= terminationLogLimit {
		_, _ = f.WriteString(text)
	}
}
