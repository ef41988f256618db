package wrap

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// nap sleeps, and ends early once wake says so, if there is one.
//
// The scheduler knows nothing of it. Were it told, by syscall.Syscall or by
// time.Sleep, it would take the processor away, and have its monitor thread look
// every 20 microseconds once the sleep is over; that was two thirds of what a wait
// cost.
func nap(d time.Duration, wake func() bool) {
	// Whoever takes signals has to wait for this thread's processor.
	const slice = 20 * time.Millisecond
	for end := time.Now().Add(d); d > 0; d = time.Until(end) {
		sleepMasked(min(d, slice))
		runtime.Gosched()
		if wake != nil && wake() {
			return
		}
	}
}

// sleepMasked sleeps in this thread with all signals blocked: the runtime sends
// one after ten milliseconds, to preempt what it takes for a busy goroutine.
func sleepMasked(d time.Duration) {
	pause, blocked := syscall.NsecToTimespec(d.Nanoseconds()), ^uint64(0) // the kernel's sigset_t
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&pause)), uintptr(unsafe.Pointer(&blocked)), unsafe.Sizeof(blocked), 0)
}
