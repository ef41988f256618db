package wrap

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// InstalledName is the name of the wrapper in the directory it is copied to.
const InstalledName = wrapflags.JobmeshWrap

// installMode lets any user of the pod run the copy and nobody change it.
const installMode = 0o555

// install copies the running program to a directory, as the init container
// does, or with --from another program of its image under that one's name. It
// needs no shell, and no other file in its image. What containers of an earlier life of
// the pod left in the state folder ends there: where a container's exit code starts all
// containers again, Kubernetes keeps the volumes (KEP-5532).
func install(call wrapflags.Call) int {
	log := &logger{}
	code := 0
	if dir := call.Options.StateDir; dir != "" {
		if err := clearMarks(dir); err != nil {
			e := event{severity: failure, name: "state", text: "install: " + err.Error()}
			if isForeign(err) {
				e.hint = foreignHint
			}
			log.log(e)
			code = codeInternal
		}
	}
	if call.Dir == "" {
		return code
	}
	if copied := copyInto(log, call.Dir, call.From); copied != 0 {
		return copied
	}
	return code
}

// copyInto copies the program from, or this one, to a directory.
func copyInto(log *logger, dir, from string) int {
	source, name := "/proc/self/exe", InstalledName
	if from != "" {
		source, name = from, wrapflags.Program(from)
	}
	in, err := openProgram(source)
	if err != nil {
		log.log(event{severity: failure, name: "install-failed", text: "install: " + source + ": " + cause(err)})
		return codeInternal
	}
	defer func() { _ = in.Close() }() // only read
	if err := copyProgram(in, dir, name); err != nil {
		log.log(event{severity: failure, name: "install-failed", text: "install: " + dir + ": " + cause(err),
			hint: "the directory has to be there, writable, and not mounted noexec; an emptyDir is all of that"})
		return codeInternal
	}
	return 0
}

// openProgram opens what is to be copied, which has to be a file: a directory
// opens too, and a pipe would be waited for.
func openProgram(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if err == nil && !stat.Mode().IsRegular() {
		err = errors.New("is not a file")
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// copyProgram writes under a temporary name and renames, so that the target is
// complete or absent at any moment, and a second run replaces it in one step.
func copyProgram(in *os.File, dir, name string) (err error) {
	if err := refuseNoexec(dir); err != nil {
		return err
	}
	// Two init containers may share the directory, and both be PID 1.
	temp := dir + "/." + name + "." + strconv.FormatInt(time.Now().UnixNano(), 36)
	out, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp) // the first error is the one to tell
		}
	}()
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Chmod(installMode) // after the write, and whatever the umask
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp, dir+"/"+name)
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
