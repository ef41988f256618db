//go:build !windows

package image

import (
	"os/exec"
	"syscall"
)

// stopTogether lets a command be stopped with all that it has started. The Go command
// waits for its compilers before it ends, which can be seconds; in a group of their own
// all of them can be stopped at once.
func stopTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
