package main

import (
	"os"
	"syscall"
)

// peak is the most memory that a process had, in KiB.
func peak(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss
	}
	return 0
}
