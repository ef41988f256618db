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
		inAllThreads(syscall.SYS_PRCTL, setTimerSlack, slack)
	}
	set(late)
	return func() { set(before) }
}

// inAllThreads makes a system call in every thread, or in none: the runtime would
// wait for ever where it may not signal them.
func inAllThreads(call, first, second uintptr) {
	const none = 0 // looks whether a signal could be sent
	if _, _, err := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(syscall.Gettid()), none); err == 0 {
		_, _, _ = syscall.AllThreadsSyscall(call, first, second, 0)
	}
}

// wakeInTime is slacken's opposite for this thread.
func wakeInTime() {
	const slack = 50_000 // the kernel's default
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, slack, 0)
}
