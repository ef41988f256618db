package wrap

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/smallfile"
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
				// A neighbour's doing is no reason to keep the Job from running: its
				// containers meet the same file, and stop the proxy all the same.
				e.hint = foreignHint
			} else {
				code = codeInternal
			}
			log.log(e)
		}
	}
	if call.Dir == "" {
		return code
	}
	if copied := copyInto(log, call.Dir, call.From); copied != 0 {
		return copied
	}
	if call.From == "" {
		if err := noteNative(call.Dir); err != nil {
			// Most meshes say in an annotation of the pod that their proxy is native.
			log.log(event{severity: warning, name: "install-failed",
				text: "install: " + call.Dir + "/" + nativeFile + ": " + err.Error() + ": which proxies answered is not noted, and only the pod's annotations say which are native"})
		}
	}
	return code
}

// noteNative writes down which proxies answer already, ready or not. This is an init
// container: Linkerd, Istio and Kuma put a native sidecar before it, and a classic one
// starts after all of them, so that what answers now is native. What refuses now may be
// either: a native one without a startup probe may still be coming up.
func noteNative(dir string) error {
	const limit = 200 * time.Millisecond
	all, err := candidates(&pod{})
	if err != nil {
		return err
	}
	var names strings.Builder
	for _, p := range all {
		if _, there := p.isThere(limit, nil); there {
			names.WriteString(p.name + "\n")
		}
	}
	if names.Len() == 0 {
		return nil
	}
	return writeWhole(dir, nativeFile, 0o444, func(out int) error { return writeAll(out, []byte(names.String())) })
}

// copyInto copies the program from, or this one, to a directory.
func copyInto(log *logger, dir, from string) int {
	source, name := "/proc/self/exe", InstalledName
	if from != "" {
		source, name = from, wrapflags.Program(from)
	}
	in, err := smallfile.Open(source, syscall.O_RDONLY)
	if err != nil {
		log.log(event{severity: failure, name: "install-failed", text: "install: " + source + ": " + err.Error()})
		return codeInternal
	}
	defer closeFile(in)
	if err = refuseNoexec(dir); err == nil {
		err = writeWhole(dir, name, installMode, func(out int) error { return copyAll(out, in) })
	}
	if err != nil {
		log.log(event{severity: failure, name: "install-failed", text: "install: " + dir + ": " + err.Error(),
			hint: "the directory has to be there, writable, and not mounted noexec; an emptyDir is all of that"})
		return codeInternal
	}
	return 0
}

// writeWhole writes under a temporary name and renames, so that the target is complete
// or absent at any moment, and a second run replaces it in one step.
func writeWhole(dir, name string, mode uint32, write func(out int) error) error {
	// Two init containers may share the directory, and both be PID 1.
	temp := dir + "/." + name + "." + strconv.FormatInt(time.Now().UnixNano(), 36)
	out, err := syscall.Open(temp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	err = write(out)
	if err == nil {
		err = syscall.Fchmod(out, mode) // after the write, and whatever the umask
	}
	if closed := syscall.Close(out); err == nil {
		err = closed
	}
	if err == nil {
		err = syscall.Rename(temp, dir+"/"+name)
	}
	if err != nil {
		_ = syscall.Unlink(temp) // the first error is the one to tell
	}
	return err
}

// copyAll copies what is left of one file to another.
func copyAll(out, in int) error {
	for buffer := make([]byte, 64<<10); ; {
		n, err := syscall.Read(in, buffer)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || n <= 0:
			return err
		}
		if err := writeAll(out, buffer[:n]); err != nil {
			return err
		}
	}
}

// writeAll writes all of a text.
func writeAll(out int, text []byte) error {
	for len(text) > 0 {
		n, err := syscall.Write(out, text)
		if err != nil && err != syscall.EINTR {
			return err
		}
		text = text[max(n, 0):]
	}
	return nil
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
