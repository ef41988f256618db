//go:build !windows

package image

import (
	"os/exec"
	"syscall"
)

// stopTogether makes a cancelled command stop together with all its children. The Go command
// waits for its compilers before it ends, which can take seconds; in a process group of their
// own, all of them are killed at once.
func stopTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
