package wrapper

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ctrl-C at a terminal, as with "kubectl run -it": the command decides what happens, and the
// wrapper stays until it has ended.
func TestInterruptAtATerminal(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "bash", "-c", "trap 'exit 7' INT; echo up >&2; while :; do sleep 0.01; done")
	w.cmd.Stdin = terminal
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // Ctty is stdin
	w.start().until("up\n")
	const ctrlC = "\x03"
	_, err := keyboard.WriteString(ctrlC)
	require.NoError(t, err)
	r := w.wait()
	assert.Equal(t, 7, r.code, r.stderr)
	assert.Contains(t, r.stderr, "command exited 7")
	assert.Equal(t, 1, p.stops())
}

// openTerminal opens a pseudo-terminal: the side of the user, and that of the program.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs /dev/ptmx: ", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	control := func(request uintptr, value *int32) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value)))
		require.Zero(t, errno)
	}
	var unlocked, number int32
	control(syscall.TIOCSPTLCK, &unlocked)
	control(syscall.TIOCGPTN, &number)
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs the /dev/pts that /dev/ptmx is of: ", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}
