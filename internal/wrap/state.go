package wrap

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/smallfile"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// Several wrapped containers of a pod share a folder. Each holds a lock on
// NAME.lock while it runs, which the kernel drops with the process however it
// ends, and leaves NAME.done when it will not run again. NAME.restarts is there while the
// kubelet would start the container again, should it be found dead: nobody else knows
// that container's rules. Whoever ends last stops the proxy.

const (
	lockSuffix     = ".lock"
	doneSuffix     = ".done"
	restartsSuffix = ".restarts"
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
	err := m.takePlace(!wantsStop(o, codeKilled))
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

// takePlace takes the lock, removes the mark of an earlier run, and leaves or removes the
// one that says what becomes of the container when it is killed, as long as nobody else
// looks.
func (m *membership) takePlace(restarts bool) error {
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
	if err = removeMark(m.dir, m.name+doneSuffix); err == nil {
		if restarts {
			err = leaveMark(m.dir, m.name+restartsSuffix)
		} else {
			err = removeMark(m.dir, m.name+restartsSuffix)
		}
	}
	if err != nil {
		closeFile(m.lock)
	}
	return err
}

// restarts tells the others that the container has ended, and that the kubelet starts it
// again: it is not finished.
func (m *membership) restarts() error {
	if err := leaveMark(m.dir, m.name+restartsSuffix); err != nil {
		return m.about(err)
	}
	return nil
}

// leave marks the container as finished for good and reports whether the proxy is its
// to stop: where it was the last, and where something in the folder makes that
// impossible to tell, because a proxy that nobody stops keeps the Job for ever.
func (m *membership) leave() (last bool, err error) {
	turn, err := m.takeTurn()
	if err == nil {
		defer closeFile(turn) // drops the lock
	}
	// Without the turn two that end at once may both be the last, and none of them
	// can miss that it is: each writes its mark before it counts.
	markErr := leaveMark(m.dir, m.name+doneSuffix)
	files, listErr := names(m.dir)
	var found error
	for _, file := range files {
		mark := strings.HasSuffix(file, doneSuffix) || strings.HasSuffix(file, restartsSuffix)
		if found == nil && (mark || file == m.name+lockSuffix) {
			found = checkMark(m.dir, file)
		}
	}
	finished := finishedMembers(append(files, m.name+doneSuffix), func(name string) bool {
		dead, err := m.isDead(name)
		if found == nil {
			found = err
		}
		return dead && !slices.Contains(files, name+restartsSuffix)
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
		return removeMark(dir, file)
	case strings.HasSuffix(file, lockSuffix):
		lock, err := lockFile(dir, file)
		if err == syscall.EWOULDBLOCK {
			return nil // its member runs
		}
		if err != nil {
			return err
		}
		defer closeFile(lock)
		if err := removeMark(dir, strings.TrimSuffix(file, lockSuffix)+restartsSuffix); err != nil {
			return err
		}
		return removeMark(dir, file)
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
		if fd, err = smallfile.Open(path, syscall.O_RDONLY|syscall.O_NOFOLLOW); err == syscall.ENOENT {
			// Containers of a pod may run as different users, so anybody may lock
			// it, from its first moment on.
			mask := syscall.Umask(0)
			fd, err = smallfile.Open(path, syscall.O_RDONLY|syscall.O_CREAT|syscall.O_EXCL)
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
	if syscall.Lstat(path, &stat) == nil || smallfile.NotRegular(err) {
		return -1, foreign(dir, name, err)
	}
	return -1, err
}

// leaveMark makes an empty file, where it is not there yet.
func leaveMark(dir, name string) error {
	mark, err := openOwn(dir, name)
	if err == nil {
		closeFile(mark)
	}
	return err
}

// removeMark removes a file, where there is one and it is of the wrapper's kind.
func removeMark(dir, name string) error {
	err := checkMark(dir, name)
	if err == nil {
		if err = syscall.Unlink(dir + "/" + name); err == syscall.ENOENT {
			return nil
		}
	}
	return err
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
	if smallfile.NotRegular(err) || isOther(dir+"/"+name) {
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
