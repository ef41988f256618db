package wrap

import (
	"math/bits"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A signalSet is the kernel's sigset_t: signal n is bit n-1.
type signalSet uint64

func setOf(signals ...syscall.Signal) (set signalSet) {
	for _, s := range signals {
		set |= 1 << (s - 1)
	}
	return set
}

func (set signalSet) has(s syscall.Signal) bool { return set>>(s-1)&1 == 1 }

const (
	lastSignal = 64
	// setSize is the number of bytes of a signalSet.
	setSize = unsafe.Sizeof(signalSet(0))
)

var (
	// endSignals are those that end the wait wherever they come from. The others
	// are messages to a command that does not exist yet, which a container's first
	// process would not get either.
	endSignals = setOf(syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	// forwarded are those that are for the command. SIGCHLD is about the wrapper's
	// own children, SIGPIPE about its own output, and SIGURG is what the Go runtime
	// sends itself to preempt (scuttle passed it on and upset Python and Node:
	// redboxllc/scuttle#34). Nobody can catch SIGKILL and SIGSTOP; 32 and 33 are
	// libc's, and the runtime's, for use between threads.
	forwarded = ^setOf(syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG, syscall.SIGKILL, syscall.SIGSTOP, 32, 33)
	// wake is what the handler of the entry point sends when it has recorded one:
	// blocked in every thread, and without effect where it is let through.
	wake = setOf(syscall.SIGPIPE)
	// childEnded says that there is something to reap.
	childEnded = setOf(syscall.SIGCHLD)
)

// A sigaction is the kernel's struct of that name, whose layout differs; all zero
// is the default action everywhere.
type sigaction [4]uint64

// What the entry point leaves and its handler writes (entry_linux_amd64.s).
var (
	recordAction sigaction
	recorded     [lastSignal + 1]uint32
	ownPID       int32
)

// A signalQueue hands over the signals that arrive, one at a time.
//
// In the release most are blocked in every thread, from before the runtime starts,
// and the kernel keeps them until somebody asks; those that the runtime does not
// let be blocked go to a handler that records them. So none is lost, however early
// it comes, no thread is there only to wait for them, and a sleep ends the moment
// one arrives. Built without the entry point, or for a processor
// that has none, the wrapper gets its signals from os/signal.
type signalQueue struct {
	held signalSet // in this thread, before let

	// What os/signal delivers; nil where signals are blocked. SIGCHLD has a channel
	// of its own, so that it is not lost behind a backlog of others.
	queue, children chan os.Signal
}

// signalBacklog holds one of each signal there is, twice over, so that none is
// dropped while the wrapper is busy.
const signalBacklog = 2 * lastSignal

// takeSignals makes every signal wait for the queue.
func takeSignals() *signalQueue {
	if ownPID == 0 { // no entry point
		q := &signalQueue{queue: make(chan os.Signal, signalBacklog), children: make(chan os.Signal, 1)}
		signal.Notify(q.queue, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGPIPE)
		signal.Notify(q.children, syscall.SIGCHLD)
		return q
	}
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if (forwarded | childEnded).has(s) {
			setAction(s, &recordAction)
		}
	}
	return &signalQueue{}
}

// next returns the first signal of a set that has arrived or arrives within d, 0
// for none. The scheduler knows nothing of the wait: were it told, it would take
// the processor away, and have its monitor thread look every 20 microseconds once
// the sleep is over; that was two thirds of what a wait for the proxy cost.
func (q *signalQueue) next(of signalSet, d time.Duration) syscall.Signal {
	if q.queue != nil {
		return q.nextQueued(of, d)
	}
	return nextBlocked(of, d, false)
}

// await is next for a wait that may last: the scheduler and its monitor sleep too.
func (q *signalQueue) await(of signalSet, d time.Duration) syscall.Signal {
	if q.queue != nil {
		return q.nextQueued(of, d)
	}
	return nextBlocked(of, d, true)
}

func nextBlocked(of signalSet, d time.Duration, long bool) syscall.Signal {
	for end := time.Now().Add(d); ; d = time.Until(end) {
		if s := takeRecorded(of); s != 0 {
			return s
		}
		switch s, err := sigtimedwait(of|wake, d, long); {
		case err == 0 && of.has(s):
			return s
		case err == syscall.EAGAIN:
			return takeRecorded(of)
		case err != 0 && err != syscall.EINTR:
			// Somebody's filter forbids the call: the handler records them all.
			letThrough(min(max(d, 0), 10*time.Millisecond))
			if d <= 0 {
				return takeRecorded(of)
			}
		}
		// Woken, or interrupted by a signal that is not for us, such as SIGCHLD.
	}
}

// sigtimedwait takes a pending signal out of the set, or waits for one.
func sigtimedwait(set signalSet, d time.Duration, long bool) (syscall.Signal, syscall.Errno) {
	pause := syscall.NsecToTimespec(max(d, 0).Nanoseconds())
	var n uintptr
	var err syscall.Errno
	if long {
		n, _, err = syscall.Syscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&pause)), setSize, 0, 0)
	} else {
		n, _, err = syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&pause)), setSize, 0, 0)
	}
	return syscall.Signal(n), err
}

// letThrough sleeps with no signal blocked.
func letThrough(d time.Duration) {
	pause, none := syscall.NsecToTimespec(d.Nanoseconds()), signalSet(0)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&pause)), uintptr(unsafe.Pointer(&none)), setSize, 0)
}

// takeRecorded returns a signal of the set that the handler has noted, 0 for none.
func takeRecorded(of signalSet) syscall.Signal {
	for ; of != 0; of &= of - 1 {
		s := syscall.Signal(bits.TrailingZeros64(uint64(of)) + 1)
		if atomic.LoadUint32(&recorded[s]) != 0 && atomic.SwapUint32(&recorded[s], 0) != 0 {
			return s
		}
	}
	return 0
}

func (q *signalQueue) nextQueued(of signalSet, d time.Duration) syscall.Signal {
	for late := time.After(d); ; {
		var s os.Signal
		select {
		case s = <-q.children: // first: a flood of others must not keep it back
		default:
			select {
			case s = <-q.children:
			case s = <-q.queue:
			case <-late:
				return 0
			}
		}
		if sig, ok := s.(syscall.Signal); ok && of.has(sig) {
			return sig
		}
	}
}

// forget drops what has arrived for a command that did not exist.
func (q *signalQueue) forget() {
	if q.queue != nil {
		signal.Notify(q.queue) // all of them, from here on
		return
	}
	for q.next(forwarded&^endSignals, 0) != 0 {
	}
}

// let opens this thread to signals, as the command is to find it; what arrives is
// recorded. The goroutine stays on the thread until hold.
func (q *signalQueue) let() {
	runtime.LockOSThread()
	if q.queue == nil {
		q.held = setMask(0)
	}
}

// hold is the opposite of let.
func (q *signalQueue) hold() {
	if q.queue == nil {
		setMask(q.held)
	}
	runtime.UnlockOSThread()
}

// giveUp gives the signals that end the wait their default action, so that none
// is taken for nobody while exec is under way. It returns one that came too early
// for that, 0 for none.
func (q *signalQueue) giveUp() syscall.Signal {
	q.let()
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		if endSignals.has(s) {
			setAction(s, &sigaction{})
		}
	}
	// One that another thread has met is on its way to the handler, or the channel.
	if q.queue == nil {
		inAllThreads(syscall.SYS_GETPID, 0, 0)
	} else {
		none := make(chan os.Signal, 1)
		signal.Notify(none, syscall.SIGWINCH)
		signal.Stop(none) // waits for deliveries
	}
	return q.next(endSignals, 0)
}

// setAction sets the action of a signal. It cannot fail: the arguments are sound.
func setAction(s syscall.Signal, action *sigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), 0, setSize, 0, 0)
}

// setMask sets the signals that are blocked in this thread and returns those that
// were.
func setMask(blocked signalSet) (before signalSet) {
	const these = 2 // SIG_SETMASK
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, these, uintptr(unsafe.Pointer(&blocked)), uintptr(unsafe.Pointer(&before)), setSize, 0, 0)
	return before
}

// nap sleeps in this thread, without the scheduler's knowledge (see next).
func nap(d time.Duration) {
	for end := time.Now().Add(d); d > 0; d = time.Until(end) {
		pause := syscall.NsecToTimespec(d.Nanoseconds())
		_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&pause)), 0, 0, 0)
	}
}
