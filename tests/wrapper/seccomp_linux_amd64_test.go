package wrapper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forbidden is the variable with the numbers of the system calls that have to fail, in the
// process that becomes the wrapper.
const forbidden = "JOBMESH_TEST_FORBIDDEN"

// Where it is set, this process forbids itself some system calls and becomes the wrapper,
// before any test runs.
func init() {
	numbers, ok := os.LookupEnv(forbidden)
	if !ok {
		return
	}
	if err := forbid(strings.Split(numbers, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "seccomp:", err)
		os.Exit(1)
	}
	_ = os.Unsetenv(forbidden)
	err := syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	fmt.Fprintln(os.Stderr, "exec:", err)
	os.Exit(1)
}

// forbid makes system calls fail with EPERM, in this process and in the program that replaces
// it.
func forbid(numbers []string) error {
	const (
		loadWord, jumpIfEqual, giveBack = 0x20, 0x15, 0x06 // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
		fail, allow                     = 0x00050000 | uint32(syscall.EPERM), 0x7fff0000
		setNoNewPrivs, setSeccomp       = 38, 22
	)
	type instruction struct { // struct sock_filter
		code       uint16
		_, ifFalse uint8
		k          uint32
	}
	program := []instruction{{code: loadWord}} // the number of the call
	for _, text := range numbers {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return err
		}
		program = append(program, instruction{code: jumpIfEqual, ifFalse: 1, k: uint32(n)}, instruction{code: giveBack, k: fail})
	}
	program = append(program, instruction{code: giveBack, k: allow})
	filter := struct { // struct sock_fprog
		length uint16
		first  *instruction
	}{uint16(len(program)), &program[0]}
	// Both calls affect this thread only. init has it to itself, and it becomes the wrapper.
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0); err != 0 {
		return err
	}
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, setSeccomp, 2, uintptr(unsafe.Pointer(&filter))); err != 0 {
		return err
	}
	return nil
}

// The seccomp profile of a node may forbid what the wrapper does beside its work: to adopt
// orphans, to have its child killed when it dies itself, and to send the signals by which the
// Go runtime preempts goroutines.
func TestForbiddenSystemCalls(t *testing.T) {
	notUnderRace(t)
	self, err := os.Executable()
	require.NoError(t, err)
	without := func(w *process, calls []int) *process {
		w.cmd.Path, w.cmd.Args = self, append([]string{self, binary}, w.cmd.Args[1:]...)
		return w.env(forbidden + "=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(calls), " ", ","), "[]"))
	}
	for name, calls := range map[string][]int{
		"prctl":  {syscall.SYS_PRCTL},
		"tgkill": {syscall.SYS_TGKILL},
		"both":   {syscall.SYS_PRCTL, syscall.SYS_TGKILL},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, "", 200*time.Millisecond)
			w := without(wrapped(t, p, nil, "bash", "-c", "trap 'exit 3' USR1; echo up >&2; while :; do sleep 0.01; done"), calls)
			w.start().until("up\n").signal(syscall.SIGUSR1)
			r := w.wait()
			assert.Equal(t, 3, r.code, r.stderr)
			assert.Equal(t, 1, p.stops(), r.stderr)
			assert.Equal(t, 4, without(command(t, "--mesh=none", "--", "sh", "-c", "exit 4"), calls).run().code, "handed over")
		})
	}
}
