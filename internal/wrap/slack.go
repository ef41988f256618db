package wrap

import "syscall"

// The runtime's monitor thread wakes a hundred times a second to look after a
// goroutine that runs, as one that waits for a proxy seems to do, and signals it to
// yield. That is more than what the wait itself costs. Nothing here has need of it:
// so while the wrapper waits, the kernel may wake its threads late, and the one
// that waits asks to be woken in time.

const (
	setTimerSlack = 29 // PR_SET_TIMERSLACK
	getTimerSlack = 30 // PR_GET_TIMERSLACK
)

// slacken lets the other threads sleep longer than they ask for, until the function
// that it returns is called: the command is to inherit what the wrapper was given.
// Where the kernel does not allow that, nothing changes.
func slacken() (tighten func()) {
	const late = 1_000_000_000 // in nanoseconds
	before, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, getTimerSlack, 0, 0)
	if err != 0 || before == 0 { // 0 is that of a real-time process
		return func() {}
	}
	set := func(slack uintptr) {
		_, _, _ = syscall.AllThreadsSyscall(syscall.SYS_PRCTL, setTimerSlack, slack, 0)
	}
	set(late)
	return func() { set(before) }
}

// wakeInTime is slacken's opposite for this thread.
func wakeInTime() {
	const slack = 50_000 // the kernel's default
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, slack, 0)
}
