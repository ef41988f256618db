package wrapper

import (
	endian "encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clock is put back by an hour during one wait, and forward during another: the limit still
// holds. Only the wrapper sees the wrong time: a tracer changes the answers of the system call,
// after it has hidden the vDSO, by which programs read the time without a call.
func TestClockThatJumpsDuringAWait(t *testing.T) {
	notUnderRace(t)
	for name, jump := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			stderr, err := os.CreateTemp(t.TempDir(), "")
			require.NoError(t, err)
			defer func() { _ = stderr.Close() }()
			runtime.LockOSThread() // the tracer is a thread
			defer runtime.UnlockOSThread()
			p := startProxy(t, "", time.Hour)
			wrapper := exec.Command(binary, append(p.flags(), "--log-format=json", "--ready-timeout=1s", "--", "true")...)
			wrapper.Stderr = stderr
			wrapper.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
			start := time.Now()
			if err := wrapper.Start(); errors.Is(err, syscall.EPERM) {
				t.Skip("needs leave to trace a process of its own")
			} else {
				require.NoError(t, err)
			}
			tooLate := time.AfterFunc(tooLong, func() { _ = wrapper.Process.Kill() })
			defer tooLate.Stop()
			asked, code := trace(t, wrapper.Process.Pid, func() time.Duration {
				if time.Since(start) > 400*time.Millisecond {
					return jump
				}
				return 0
			})
			took := time.Since(start)
			logged, err := os.ReadFile(stderr.Name())
			require.NoError(t, err)
			assert.Equal(t, 69, code, "%s", logged)
			assert.Positive(t, asked, "it saw the jump")
			assert.Greater(t, took, 950*time.Millisecond, "%s", logged)
			assert.Equal(t, 1, p.stops())
			assert.Regexp(t, `"proxy-not-ready".* after [0-9]{1,2}(\.[0-9]+)?s: `, strings.ReplaceAll(string(logged), "\n", " "))
		})
	}
}

// trace runs a process, which has stopped after its exec, until it ends, and shifts its time of
// day by the result of jump. It returns how often the process got a wrong time, and its exit
// code.
func trace(t *testing.T, pid int, jump func() time.Duration) (asked, code int) {
	t.Helper()
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, 0, nil)
	require.NoError(t, err)
	hideVDSO(t, pid)
	// New threads are traced too, and a stop at a system call can be distinguished from one for
	// a signal.
	const good = syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE
	require.NoError(t, syscall.PtraceSetOptions(pid, good))
	require.NoError(t, syscall.PtraceSyscall(pid, 0))
	const ownOnly = 0x20000000 // __WNOTHREAD: not the children of other tests
	inside := map[int]bool{}   // threads between a call's beginning and its end
	for {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL|ownOnly, nil)
		require.NoError(t, err)
		if status.Exited() || status.Signaled() {
			if thread == pid {
				return asked, status.ExitStatus()
			}
			continue
		}
		deliver := 0
		switch s := status.StopSignal(); {
		case s == syscall.SIGTRAP|0x80:
			if inside[thread] = !inside[thread]; !inside[thread] && shiftTime(thread, jump()) {
				asked++
			}
		case s != syscall.SIGTRAP && s != syscall.SIGSTOP: // a new thread starts with a SIGSTOP
			deliver = int(s)
		}
		_ = syscall.PtraceSyscall(thread, deliver) // the thread may have ended meanwhile
	}
}

// shiftTime changes the result of a call that asks for the time of day, when the call returns.
func shiftTime(thread int, by time.Duration) bool {
	const timeOfDay = 0 // CLOCK_REALTIME
	var regs syscall.PtraceRegs
	if by == 0 || syscall.PtraceGetRegs(thread, &regs) != nil || regs.Orig_rax != syscall.SYS_CLOCK_GETTIME || regs.Rdi != timeOfDay {
		return false
	}
	var seconds [8]byte
	if _, err := syscall.PtracePeekData(thread, uintptr(regs.Rsi), seconds[:]); err != nil {
		return false
	}
	endian.LittleEndian.PutUint64(seconds[:], endian.LittleEndian.Uint64(seconds[:])+uint64(by/time.Second))
	_, err := syscall.PtracePokeData(thread, uintptr(regs.Rsi), seconds[:])
	return err == nil
}

// hideVDSO makes the program ask the kernel for the time by a system call, which a tracer sees:
// it removes the address of the vDSO from the program's initial stack (argc, argv, environ, and
// the auxiliary vector).
func hideVDSO(t *testing.T, pid int) {
	t.Helper()
	const sysinfoHeader, ignore = 33, 1 // AT_SYSINFO_EHDR, AT_IGNORE
	var regs syscall.PtraceRegs
	require.NoError(t, syscall.PtraceGetRegs(pid, &regs))
	var raw [8]byte
	next := uintptr(regs.Rsp)
	read := func() uint64 {
		_, err := syscall.PtracePeekData(pid, next, raw[:])
		require.NoError(t, err)
		next += 8
		return endian.LittleEndian.Uint64(raw[:])
	}
	for range read() + 1 { // argv and its end
		read()
	}
	for read() != 0 {
		// This skips the environment.
	}
	for {
		at := next
		kind := read()
		require.NotZero(t, kind, "there is no such page")
		if read(); kind == sysinfoHeader {
			endian.LittleEndian.PutUint64(raw[:], ignore)
			_, err := syscall.PtracePokeData(pid, at, raw[:])
			require.NoError(t, err)
			return
		}
	}
}
