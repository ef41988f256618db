package wrap

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"unsafe"
)

// signalBacklog holds one of each signal there is, twice over, so that none is
// dropped while the wrapper is busy.
const signalBacklog = 128

// endSignals are those that end the wait wherever they come from. The others are
// messages to a command that does not exist yet, which a container's first process
// would not get either.
var endSignals = [...]syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP}

// endsWait reports whether a signal that arrives before the command runs ends
// the wrapper.
func endsWait(s os.Signal) (syscall.Signal, bool) {
	sig, ok := s.(syscall.Signal)
	return sig, ok && slices.Contains(endSignals[:], sig)
}

// catchSignals subscribes to the signals that mean something before there is a
// command: the four that end the wait, and SIGPIPE, which must not kill the
// wrapper and must not reach the command as "ignored", which signal.Ignore would
// cause.
//
// SIGCHLD has a channel of its own with room for one: it only says "look", and
// must not be lost behind a backlog of others.
func catchSignals() (all, children chan os.Signal) {
	all, children = make(chan os.Signal, signalBacklog), make(chan os.Signal, 1)
	unguard := guard()
	signal.Notify(all, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGPIPE)
	unguard()
	signal.Notify(children, syscall.SIGCHLD)
	return all, children
}

// A sigaction is the kernel's struct of that name, whose layout differs; all zero
// is the default action everywhere.
type sigaction [4]uint64

// earlyAction is that of the entry point, which puts it here; all zero in a build
// without that.
var earlyAction sigaction

// setAction sets the action of a signal and returns the one before. It cannot
// fail: the arguments are sound.
func setAction(s syscall.Signal, action *sigaction) (before sigaction) {
	const setSize = 8 // bytes of a sigset_t
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(&before)), setSize, 0, 0)
	return before
}

// guard makes signals that end the wait end the wrapper instead, without the
// runtime, until what it returns is called.
//
// A thread that met such a signal a moment ago is on its way out through the
// runtime, by way of the entry point's handler. A subscription would take that
// handler away before its eyes, and it would end with the runtime's code 2 (it
// takes a busy machine). So the handler is put back, and every thread made to do
// something: one that is dying has died by then.
func guard() (unguard func()) {
	if earlyAction == (sigaction{}) {
		return func() {}
	}
	var before [len(endSignals)]sigaction
	for i, s := range endSignals {
		before[i] = setAction(s, &earlyAction)
	}
	_, _, _ = syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0)
	return func() {
		for i, s := range endSignals {
			setAction(s, &before[i])
		}
	}
}

// letGoOfSignals gives the signals that end the wait their default action, so
// that none is caught for nobody while exec is under way. What had been caught
// before is in r.signals when it returns: signal.Stop waits for deliveries.
func (r *run) letGoOfSignals() {
	for _, s := range endSignals {
		setAction(s, &sigaction{})
	}
	none := make(chan os.Signal, 1)
	signal.Notify(none, syscall.SIGWINCH)
	signal.Stop(none)
}

// catchTheRest subscribes to every other signal that can be caught, once there is
// a command to pass them on to. Each subscription is a round trip between two
// threads of the runtime; sixty of them are a millisecond that nobody has to wait
// for.
func catchTheRest(all chan os.Signal) { signal.Notify(all) }

// forwarded reports whether a signal is for the command. SIGCHLD is about the
// wrapper's own children, SIGPIPE about its own output, and SIGURG is what the
// Go runtime sends itself to preempt (scuttle passed it on and upset Python
// and Node: redboxllc/scuttle#34).
func forwarded(s os.Signal) bool {
	switch s {
	case syscall.SIGCHLD, syscall.SIGPIPE, syscall.SIGURG:
		return false
	}
	return true
}
