package wrap

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// InstalledName is the name of the wrapper in the directory it is copied to.
const InstalledName = "jobmesh-wrap"

// installMode lets any user of the pod run the copy and nobody change it.
const installMode = 0o555

var (
	errNoCommand    = errors.New("no command given: want jobmesh-wrap [flags] -- COMMAND [ARG...]")
	errProbeCommand = errors.New("probe takes flags only, and runs no command")
)

// install copies the running program to a directory, as the init container
// does. It needs no shell, and no other file in its image.
func install(args []string) int {
	log := &logger{}
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		log.log(event{severity: failure, name: "usage", text: "install wants one argument, the directory to copy to"})
		return codeUsage
	}
	if err := copyItself(args[0]); err != nil {
		log.log(event{severity: failure, name: "install-failed", text: "install: " + args[0] + ": " + cause(err),
			hint: "the directory has to be there, writable, and not mounted noexec; an emptyDir is all of that"})
		return codeInternal
	}
	return 0
}

// copyItself writes under a temporary name and renames, so that the target is
// complete or absent at any moment, and a second run replaces it in one step.
func copyItself(dir string) (err error) {
	if err := refuseNoexec(dir); err != nil {
		return err
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }() // only read
	// Two init containers may share the directory, and both be PID 1.
	temp := dir + "/." + InstalledName + "." + strconv.FormatInt(time.Now().UnixNano(), 36)
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp) // the first error is the one to tell
		}
	}()
	_, err = io.Copy(out, self)
	if err == nil {
		err = out.Chmod(installMode) // after the write, and whatever the umask
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp, dir+"/"+InstalledName)
}

// refuseNoexec finds out now what the Job's container would otherwise meet as a
// bare "permission denied".
func refuseNoexec(dir string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	const noexec = 0x8 // ST_NOEXEC
	if int64(fs.Flags)&noexec != 0 {
		return errors.New("is mounted noexec, so that nothing copied there could run")
	}
	return nil
}
