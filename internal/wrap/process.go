package wrap

import (
	"os"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/smallfile"
)

// commLength is how much of a name the kernel keeps in /proc/PID/comm.
const commLength = 15

// procLimit bounds what is read of a file of /proc: the name of a program is at the front.
const procLimit = 64 << 10

// processesNamed returns the pids of all other processes with a name. That name may be
// the process's comm, or the last part of its first argument, because some programs rename
// their main thread.
func processesNamed(name string) ([]int, error) {
	entries, err := names("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry)
		if err != nil || pid == os.Getpid() {
			continue
		}
		// What cannot be read has ended meanwhile.
		comm, _ := smallfile.Read("/proc/"+entry+"/comm", procLimit)
		arguments, _ := smallfile.Read("/proc/"+entry+"/cmdline", procLimit)
		if isNamed(name, comm, arguments) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// isNamed decides by the content of comm and cmdline.
func isNamed(name, comm, cmdline string) bool {
	first, _, _ := strings.Cut(cmdline, "\x00")
	if first[strings.LastIndexByte(first, '/')+1:] == name {
		return true
	}
	return len(name) <= commLength && strings.TrimSuffix(comm, "\n") == name
}

// anyAlive reports whether one of the processes still runs. A zombie, which has ended and
// waits for its parent to reap it, does not.
func anyAlive(pids []int) bool {
	for _, pid := range pids {
		stat, err := smallfile.Read("/proc/"+strconv.Itoa(pid)+"/stat", procLimit)
		if err == nil && !isZombie(stat) {
			return true
		}
	}
	return false
}

// isZombie reads the state out of /proc/PID/stat: the letter behind the name in
// parentheses, which may hold anything, parentheses too.
func isZombie(stat string) bool {
	_, after, ok := cutLast(stat, ") ")
	return ok && (strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X"))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
