package wrap

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/smallfile"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// Several wrapped containers of a pod share a folder. Each holds a lock on
// NAME.lock while it runs, which the kernel drops with the process however it
// ends, and leaves NAME.done when it will not run again. Whoever ends last stops
// the proxy.

const (
	lockSuffix = ".lock"
	doneSuffix = ".done"
	// turnFile is locked while a member takes its lock, so that nobody sees the
	// file before the lock is on it and takes the member for dead, and while one
	// writes its mark and counts: of two that end at once, exactly one is the last.
	turnFile = ".turn"
)

// errNameTaken is a member whose name another running container has.
type errNameTaken string

func (e errNameTaken) Error() string { return string(e) }

// errForeign is something in the folder that the wrapper did not make, or cannot use
// for what it is there: every container of the pod may write to the folder, also one
// that is not trusted.
type errForeign string

func (e errForeign) Error() string { return string(e) }

// foreignHint is what to do about an errForeign.
const foreignHint = "let only the wrapped containers mount this folder; as it is, nobody can tell which of them still run"

func isForeign(err error) bool {
	var foreign errForeign
	return errors.As(err, &foreign)
}

// A membership is this container's place among those of the pod.
type membership struct {
	dir, name string
	members   int
	// lock is an open file, which nobody closes: the kernel drops the lock.
	lock int
}

// join takes the container's lock. A mark left by an earlier run of the same
// container is gone from then on.
func join(o *wrapflags.Options) (*membership, error) {
	if o.StateDir == "" {
		return nil, nil
	}
	m := &membership{dir: o.StateDir, name: o.Member, members: o.Members}
	err := m.takePlace()
	if taken := errNameTaken(""); err != nil && !errors.As(err, &taken) {
		err = m.about(err)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// about names the folder in an error. It keeps an errForeign one.
func (m *membership) about(err error) error {
	text := "--state-dir " + m.dir + ": " + err.Error()
	if isForeign(err) {
		return errForeign(text)
	}
	return errors.New(text)
}

// takePlace takes the lock and removes the mark, as long as nobody else looks.
func (m *membership) takePlace() error {
	turn, err := m.takeTurn()
	if err != nil {
		return err
	}
	defer closeFile(turn) // drops the lock
	m.lock, err = lockFile(m.dir, m.name+lockSuffix)
	if err == syscall.EWOULDBLOCK {
		return errNameTaken("--member " + m.name + " is taken: two containers have the same name in " + m.dir)
	}
	if err != nil {
		return err
	}
	mark := m.name + doneSuffix
	if err = checkMark(m.dir, mark); err == nil {
		if err = syscall.Unlink(m.dir + "/" + mark); err == syscall.ENOENT {
			return nil
		}
	}
	if err != nil {
		closeFile(m.lock)
	}
	return err
}

// leave marks the container as finished for good and reports whether the proxy is its
// to stop: where it was the last, and where something in the folder makes that
// impossible to tell, because a proxy that nobody stops keeps the Job for ever.
// restarts says that a container that was killed starts again, and is then not finished.
func (m *membership) leave(restarts bool) (last bool, err error) {
	turn, err := m.takeTurn()
	if err == nil {
		defer closeFile(turn) // drops the lock
	}
	// Without the turn two that end at once may both be the last, and none of them
	// can miss that it is: each writes its mark before it counts.
	mark, markErr := openOwn(m.dir, m.name+doneSuffix)
	if markErr == nil {
		closeFile(mark)
	}
	files, listErr := names(m.dir)
	var found error
	for _, file := range files {
		if found == nil && (strings.HasSuffix(file, doneSuffix) || file == m.name+lockSuffix) {
			found = checkMark(m.dir, file)
		}
	}
	finished := finishedMembers(append(files, m.name+doneSuffix), func(name string) bool {
		dead, err := m.isDead(name)
		if found == nil {
			found = err
		}
		return dead && !restarts
	})
	last = len(finished) >= m.members
	var first error
	for _, e := range []error{err, markErr, found, listErr} {
		if first == nil || isForeign(e) && !isForeign(first) {
			first = e
		}
	}
	if first == nil {
		return last, nil
	}
	return last || isForeign(first), m.about(first)
}

// clearMarks removes what members of an earlier life of the pod left: their marks, and
// the locks that nobody holds any more, which would otherwise pass for those of members
// that were killed. What is not the wrapper's kind of file is left alone, and is an
// errForeign.
func clearMarks(dir string) error {
	files, err := names(dir)
	for _, file := range files {
		fileErr := clearMark(dir, file)
		if fileErr != nil && err == nil {
			err = fileErr
		}
	}
	if err != nil {
		return (&membership{dir: dir}).about(err)
	}
	return nil
}

func clearMark(dir, file string) error {
	switch {
	case strings.HasSuffix(file, doneSuffix):
		if err := checkMark(dir, file); err != nil {
			return err
		}
	case strings.HasSuffix(file, lockSuffix):
		lock, err := lockFile(dir, file)
		if err == syscall.EWOULDBLOCK {
			return nil // its member runs
		}
		if err != nil {
			return err
		}
		defer closeFile(lock)
	default:
		return nil
	}
	if err := syscall.Unlink(dir + "/" + file); err != nil && err != syscall.ENOENT {
		return err
	}
	return nil
}

// names returns the names in a folder.
func names(dir string) ([]string, error) {
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer closeFile(fd)
	var all []string
	for buffer := make([]byte, 8<<10); ; {
		n, err := syscall.ReadDirent(fd, buffer)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || n <= 0:
			return all, err
		}
		_, _, all = syscall.ParseDirent(buffer[:n], -1, all)
	}
}

// finishedMembers returns those that left their mark, and those of which only a
// lock file is left and dead says so.
func finishedMembers(files []string, dead func(name string) bool) map[string]bool {
	finished := map[string]bool{}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file, doneSuffix); ok {
			finished[name] = true
		}
	}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file, lockSuffix); ok && !finished[name] && dead(name) {
			finished[name] = true
		}
	}
	return finished
}

// isDead reports whether nobody holds a member's lock, as after SIGKILL.
func (m *membership) isDead(name string) (bool, error) {
	if name == m.name {
		return false, nil // it holds its own, and has its mark anyway
	}
	lock, err := lockFile(m.dir, name+lockSuffix)
	switch {
	case err == syscall.EWOULDBLOCK:
		return false, nil
	case err != nil:
		return false, err
	}
	closeFile(lock) // drops the lock
	return true, nil
}

// takeTurn waits for the turn. Who has it needs microseconds; one that is stopped
// in the middle of it must not stop the others for longer than turnLimit.
func (m *membership) takeTurn() (int, error) {
	const turnLimit = time.Second
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		turn, err := lockFile(m.dir, turnFile)
		if err != syscall.EWOULDBLOCK || time.Since(start) > turnLimit {
			return turn, err
		}
	}
}

// lockFile opens and locks a file, or says with EWOULDBLOCK that somebody else has it.
func lockFile(dir, name string) (int, error) {
	fd, err := openOwn(dir, name)
	if err != nil {
		return -1, err
	}
	for {
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		closeFile(fd)
		return -1, err
	}
	return fd, nil
}

// openOwn opens a file of the folder, and makes it where there is none. Whatever a
// neighbour has put in its place is an errForeign: a link is not followed, a named pipe
// not waited for, a file not truncated.
func openOwn(dir, name string) (int, error) {
	const tries = 100 // while somebody makes and removes it all the time
	path := dir + "/" + name
	err := error(syscall.ENOENT)
	for range tries {
		var fd int
		if fd, err = openRegular(path, syscall.O_RDONLY); err == syscall.ENOENT {
			// Containers of a pod may run as different users, so anybody may lock
			// it, from its first moment on.
			mask := syscall.Umask(0)
			fd, err = openRegular(path, syscall.O_RDONLY|syscall.O_CREAT|syscall.O_EXCL)
			syscall.Umask(mask)
			if err == syscall.EEXIST {
				continue
			}
		}
		if err == nil {
			return fd, nil
		}
		break
	}
	var stat syscall.Stat_t
	if syscall.Lstat(path, &stat) == nil || notRegular(err) {
		return -1, foreign(dir, name, err)
	}
	return -1, err
}

// openRegular opens a regular file and nothing else, without waiting: not for the other
// end of a named pipe, nor for who holds a lease on the file. A command that lives on
// must not hold what is open here, hence O_CLOEXEC.
func openRegular(path string, how int) (int, error) {
	const never = syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_NOCTTY | syscall.O_CLOEXEC
	for {
		fd, err := syscall.Open(path, how|never, 0o644)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		var stat syscall.Stat_t
		if err = syscall.Fstat(fd, &stat); err == nil && stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
			err = smallfile.ErrNotRegular
		}
		if err != nil {
			closeFile(fd)
			return -1, err
		}
		return fd, nil
	}
}

// notRegular reports whether an error of openRegular says that there is something else
// than a regular file: a link (ELOOP), a socket, a pipe or a device that nobody serves
// (ENXIO, ENODEV), a directory that is opened to be written (EISDIR).
func notRegular(err error) bool {
	switch err {
	case smallfile.ErrNotRegular, syscall.ELOOP, syscall.ENXIO, syscall.ENODEV, syscall.EISDIR:
		return true
	}
	return false
}

// checkMark looks at a file without opening it: at a mark, which counts by its name, or
// at the lock file of this container, which it holds.
func checkMark(dir, name string) error {
	if isOther(dir + "/" + name) {
		return foreign(dir, name, smallfile.ErrNotRegular)
	}
	return nil // there is a mark, or none
}

// foreign says what is wrong with something in the folder.
func foreign(dir, name string, err error) error {
	if notRegular(err) || isOther(dir+"/"+name) {
		return errForeign(name + " is not a regular file, so not one of this wrapper's")
	}
	return errForeign(name + ": " + err.Error())
}

// isOther reports whether there is something under a name that is no regular file.
func isOther(path string) bool {
	var stat syscall.Stat_t
	return syscall.Lstat(path, &stat) == nil && stat.Mode&syscall.S_IFMT != syscall.S_IFREG
}

// closeFile closes a file to which nothing was written.
func closeFile(fd int) { _ = syscall.Close(fd) }
