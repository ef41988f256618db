package wrap

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

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

// A membership is this container's place among those of the pod.
type membership struct {
	dir, name string
	members   int
	lock      *os.File
}

// join takes the container's lock. A mark left by an earlier run of the same
// container is gone from then on.
func join(o *wrapflags.Options) (*membership, error) {
	if o.StateDir == "" {
		return nil, nil
	}
	m := &membership{dir: o.StateDir, name: o.Member, members: o.Members}
	turn, err := m.takeTurn()
	if err != nil {
		return nil, errors.New("--state-dir " + m.dir + ": " + cause(err))
	}
	defer func() { _ = turn.Close() }() // drops the lock
	lock, err := lockFile(m.path(m.name + lockSuffix))
	if err == syscall.EWOULDBLOCK {
		return nil, errNameTaken("--member " + m.name + " is taken: two containers have the same name in " + m.dir)
	}
	if err != nil {
		return nil, errors.New("--state-dir " + m.dir + ": " + cause(err))
	}
	m.lock = lock
	if err := os.Remove(m.path(m.name + doneSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("--state-dir " + m.dir + ": " + cause(err))
	}
	return m, nil
}

func (m *membership) path(file string) string { return m.dir + "/" + file }

// leave marks the container as finished for good and reports whether it was the
// last. restarts says that the pod restarts a container that was killed, which
// is then not finished. A mark that could not be written is an error for those
// that come after, not for the count.
func (m *membership) leave(restarts bool) (last bool, err error) {
	turn, err := m.takeTurn()
	if err == nil {
		defer func() { _ = turn.Close() }() // drops the lock
		err = os.WriteFile(m.path(m.name+doneSuffix), nil, 0o644)
	}
	files, listErr := names(m.dir)
	if err == nil {
		err = listErr
	}
	finished := finishedMembers(append(files, m.name+doneSuffix), func(name string) bool {
		return !restarts && m.isDead(name)
	})
	return len(finished) >= m.members, err
}

func names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // only read
	return d.Readdirnames(-1)
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
func (m *membership) isDead(name string) bool {
	if name == m.name {
		return false // it holds its own, and has its mark anyway
	}
	lock, err := lockFile(m.path(name + lockSuffix))
	if err != nil {
		return false
	}
	_ = lock.Close() // drops the lock
	return true
}

// takeTurn waits for the turn. Who has it needs microseconds; one that is stopped
// in the middle of it must not stop the others for longer than turnLimit.
func (m *membership) takeTurn() (*os.File, error) {
	const turnLimit = time.Second
	for start := time.Now(); ; nap(time.Millisecond) {
		turn, err := lockFile(m.path(turnFile))
		if err != syscall.EWOULDBLOCK || time.Since(start) > turnLimit {
			return turn, err
		}
	}
}

// lockFile opens and locks a file, or says at once that somebody else has it.
// os opens with O_CLOEXEC: a command that lives on must not hold the lock.
func lockFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		// Containers of a pod may run as different users, so anybody may lock
		// it, from its first moment on.
		mask := syscall.Umask(0)
		file, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o644)
		syscall.Umask(mask)
	}
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

// cause drops the name of the system call from an error.
func cause(err error) string {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &link):
		return link.Err.Error()
	}
	return err.Error()
}
