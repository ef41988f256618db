package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The program has two stages inside. The first process of a PID namespace inherits every orphan, and Go's os/exec must
// not compete with a reaper for the same children. So one process only reaps, and the other one does the work.
const (
	stageInit = "init"
	stageWork = "work"
)

// interrupted is the exit code of shells and of the command line for SIGINT.
const interrupted = 130

// Inside tells whether this process does the work in the sandbox.
func Inside() bool { return os.Getenv(stageVariable) == stageWork }

// Cgroup is the control group of the run, as a path below each hierarchy's root. It is empty outside.
func Cgroup() string { return os.Getenv(cgroupVariable) }

// Init never returns if the process was started as the sandbox's first process: it then does the work of that process.
// Call it before anything else in main.
func Init() {
	if os.Getenv(stageVariable) != stageInit {
		return
	}
	code, err := beInit()
	if err != nil {
		fmt.Fprintf(os.Stderr, "sandbox: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// Run starts this program with the same arguments in a new sandbox. When everything in the sandbox has ended, it
// returns the program's exit code. It needs root.
func Run() (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	group, err := makeCgroup()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, removeCgroup(group)) }()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)

	// A parent-death signal is sent when the thread that forked ends, not when the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// "go test" does not pass on the signal that ends it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		return 0, fmt.Errorf("parent-death signal: %w", err)
	}

	first := exec.Command(self, os.Args[1:]...)
	first.Stdin, first.Stdout, first.Stderr = nil, os.Stdout, os.Stderr
	first.Env = append(os.Environ(), stageVariable+"="+stageInit, cgroupVariable+"="+group)
	first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true, // Ctrl-C of a terminal is handled here, by the one signal that ends a PID namespace
	}
	if err := first.Start(); err != nil {
		return 0, fmt.Errorf("namespaces: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	select {
	case <-signals:
		err = errors.Join(first.Process.Kill(), ignoreExit(<-ended))
		return interrupted, err
	case err := <-ended:
		return first.ProcessState.ExitCode(), ignoreExit(err)
	}
}

// ignoreExit drops an error that only gives the exit code of a process.
func ignoreExit(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil
	}
	return err
}

// beInit prepares the namespaces, starts the worker, and reaps until the worker ends. Its own end then ends all others.
func beInit() (code int, err error) {
	if err := mountAll(); err != nil {
		return 0, err
	}
	if err := unix.Sethostname([]byte(Hostname)); err != nil {
		return 0, fmt.Errorf("host name: %w", err)
	}
	if err := networkUp(); err != nil {
		return 0, fmt.Errorf("network: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	worker := exec.Command(self, os.Args[1:]...)
	worker.Stdin, worker.Stdout, worker.Stderr = nil, os.Stdout, os.Stderr
	worker.Env = append(os.Environ(), stageVariable+"="+stageWork)
	if err := worker.Start(); err != nil {
		return 0, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("reaping: %w", err)
		case pid == worker.Process.Pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == worker.Process.Pid && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

// inMemory are folders that are empty inside at the start, and disappear at the end.
var inMemory = []string{"/run", "/var/log"}

// layered are folders that show the machine's content and keep writes in memory. The kubelet always has its device
// sockets in /var/lib/kubelet, and the library of the network plugins keeps its results in /var/lib/cni, whatever the
// configuration of a cluster says. Mounts below such a folder are not visible inside.
var layered = []string{"/var/lib"}

// kernelSettings are settings that a kubelet would change in the running kernel for good, unless it finds these values.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

func mountAll() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil { // the machine does not see the following mounts
		return fmt.Errorf("mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount on /proc: %w", err)
	}
	for _, dir := range inMemory {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount on %s: %w", dir, err)
		}
	}
	for _, dir := range layered {
		if err := layer(dir); err != nil {
			return fmt.Errorf("mount on %s: %w", dir, err)
		}
	}
	return shieldKernel()
}

func layer(dir string) error {
	upper, work := filepath.Join("/run/layers", dir, "upper"), filepath.Join("/run/layers", dir, "work")
	for _, made := range []string{upper, work} {
		if err := os.MkdirAll(made, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
	return unix.Mount("overlay", dir, "overlay", 0, options)
}

// shieldKernel shows a kubelet the settings that it wants, in files over the real ones.
func shieldKernel() error {
	for name, value := range kernelSettings {
		shield := filepath.Join("/run", strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(shield, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		setting := filepath.Join("/proc/sys", name)
		if err := unix.Mount(shield, setting, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("mount on %s: %w", setting, err)
		}
	}
	return nil
}

// networkUp makes the network of a cluster's node. Linux looks up a route before it applies rules that translate
// addresses, so there is a route for Services, although no device has their addresses.
func networkUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	address, err := netlink.ParseAddr(NodeIP + "/32")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(lo, address); err != nil {
		return err
	}
	services, err := netlink.ParseIPNet(ServiceNetwork)
	if err != nil {
		return err
	}
	route := netlink.Route{LinkIndex: lo.Attrs().Index, Dst: services, Src: address.IP, Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(&route); err != nil {
		return fmt.Errorf("route to %s: %w", services, err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}
