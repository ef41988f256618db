package wrap

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
	"unsafe"
)

// endSignals are those that end the wait. The others are messages to a command that
// does not exist yet.
var endSignals = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP}

// forwarded returns the signals that the command gets: all but those below.
func forwarded() []os.Signal {
	kept := []syscall.Signal{
		syscall.SIGKILL, syscall.SIGSTOP, // nobody can catch these two
		syscall.SIGCHLD, // it is about the wrapper's own children
		syscall.SIGPIPE, // it is about the wrapper's own output
		// The Go runtime sends this one to itself to preempt a goroutine. scuttle passed
		// it on, and upset Python and Node (redboxllc/scuttle issue 34).
		syscall.SIGURG,
		32, 33, // the C library uses these two between its threads
	}
	const last = 64
	var all []os.Signal
	for s := syscall.Signal(1); s <= last; s++ {
		if !slices.Contains(kept, s) {
			all = append(all, s)
		}
	}
	return all
}

// A signalQueue hands over the signals that arrive, one at a time. Its zero value takes
// none: the Go runtime ends the process with them.
type signalQueue struct {
	arrived chan os.Signal
	// children gets SIGCHLD. It is a channel of its own, because os/signal drops a
	// signal for which a channel has no room, and this one must not be lost behind
	// others: one SIGCHLD that waits stands for all of them.
	children chan os.Signal
	// all is set once all signals go to the queue.
	all bool
}

// takeEnding makes the signals that end the wait go to the queue, from now on. It costs a
// third of a millisecond, which a wrapper with nothing to wait for does not have to spend.
func (q *signalQueue) takeEnding() {
	if q.arrived != nil {
		return
	}
	const room = 128 // for each signal there is, twice
	q.arrived, q.children = make(chan os.Signal, room), make(chan os.Signal, 1)
	for _, s := range endSignals {
		signal.Notify(q.arrived, s)
	}
}

// endAtSignal makes each of these signals end the process at once, with 128 and its number,
// from now on: for the verbs, which have no command to pass it on to. The Go runtime by
// itself would end the first process of a container with 2.
func endAtSignal() {
	ending := make(chan os.Signal, 1)
	for _, s := range endSignals {
		signal.Notify(ending, s)
	}
	go func() {
		s := (<-ending).(syscall.Signal) // os/signal delivers nothing else
		os.Exit(codeSignal + int(s))
	}()
}

// takeAll makes the others go there too. The first call costs half a millisecond, which a
// wrapper that hands over to the command does not have to spend; a second one does nothing.
func (q *signalQueue) takeAll() {
	if q.all {
		return
	}
	q.all = true
	q.takeEnding()
	signal.Notify(q.arrived, forwarded()...)
	signal.Notify(q.children, syscall.SIGCHLD)
}

// await returns the next signal, which may be SIGCHLD, or 0 when none has arrived
// within d.
func (q *signalQueue) await(d time.Duration) syscall.Signal {
	late := time.NewTimer(d)
	defer late.Stop()
	var s os.Signal
	select {
	case s = <-q.children: // these come first, whatever else is waiting
	default:
		select {
		case s = <-q.children:
		case s = <-q.arrived:
		case <-late.C:
			return 0
		}
	}
	return s.(syscall.Signal) // os/signal delivers nothing else
}

// awaitEnd returns the next signal that ends the wait, or 0 when none has arrived within
// d. It drops all others.
func (q *signalQueue) awaitEnd(d time.Duration) syscall.Signal {
	for until := time.Now().Add(d); ; {
		s := q.pending()
		if s == 0 && d > 0 {
			s = q.await(time.Until(until))
		}
		if s == 0 || slices.Contains(endSignals, s) {
			return s
		}
	}
}

// pending returns a signal that has arrived already, or 0 where there is none.
func (q *signalQueue) pending() syscall.Signal {
	select {
	case s := <-q.arrived:
		return s.(syscall.Signal)
	default:
		return 0
	}
}

// giveUp gives the signals back to the Go runtime, so that none of them waits in a queue
// that nobody reads once the command has taken the wrapper's place. It returns one that
// ends the wait and came before that, or 0.
func (q *signalQueue) giveUp() syscall.Signal {
	signal.Stop(q.arrived) // waits for those that are being delivered
	return q.awaitEnd(0)
}

// settle returns once no other thread of the process has a signal that ends it. When the command
// takes the wrapper's place, the kernel ends all threads but the first one, and a signal that one
// of them has been given would be gone with it. The first thread, on which this runs, gets those
// that come later. A signal that no thread has taken yet is returned, else 0.
func settle() syscall.Signal {
	var set uint64
	for _, s := range endSignals {
		set |= 1 << (s - 1)
	}
	var now syscall.Timespec
	s, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&now)), unsafe.Sizeof(set), 0, 0)
	if errno == 0 {
		return syscall.Signal(s)
	}
	// A thread that has taken one ends the process before it makes this system call. The runtime
	// asks the threads by signals, and would wait for ever where the node forbids those.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(syscall.Gettid()), 0); errno == 0 {
		_, _, _ = syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	}
	return 0
}
