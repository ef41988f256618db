package wrap

import (
	"strconv"
	"syscall"
)

func itoa(n int) string { return strconv.Itoa(n) }

// signalName gives the name people know, for the signals that end commands.
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGABRT: "SIGABRT",
		syscall.SIGALRM: "SIGALRM",
		syscall.SIGBUS:  "SIGBUS",
		syscall.SIGFPE:  "SIGFPE",
		syscall.SIGHUP:  "SIGHUP",
		syscall.SIGILL:  "SIGILL",
		syscall.SIGINT:  "SIGINT",
		syscall.SIGKILL: "SIGKILL",
		syscall.SIGPIPE: "SIGPIPE",
		syscall.SIGQUIT: "SIGQUIT",
		syscall.SIGSEGV: "SIGSEGV",
		syscall.SIGTERM: "SIGTERM",
		syscall.SIGUSR1: "SIGUSR1",
		syscall.SIGUSR2: "SIGUSR2",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return "signal " + itoa(int(s))
}
