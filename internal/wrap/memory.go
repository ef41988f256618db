package wrap

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// giveBackProgram drops the program's own read-only pages from memory. All of
// them came in while the wrapper started; while it sleeps beside the command it
// needs none, and the few that signals and the end need are mapped again from
// the page cache. This halves the resident size of a wrapper at rest.
//
// Without /proc, or where the kernel says no, nothing is lost.
func giveBackProgram() {
	const dontNeed = 4 // MADV_DONTNEED; harmless on clean pages of a file
	self, _ := os.Readlink("/proc/self/exe")
	if !fixedAddresses("/proc/self/exe") {
		return
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for _, r := range readOnlyRanges(string(maps), self) {
		_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, r.start, r.end-r.start, dontNeed)
	}
}

// fixedAddresses reports whether a program is linked to run at one address. One
// that is not has pages which were written to at its start and then made
// read-only; they would come back as they are in the file.
func fixedAddresses(program string) bool {
	file, err := os.Open(program)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	const typeAt, executable = 16, 2    // e_type of the ELF header; ET_EXEC
	head := make([]byte, typeAt+2)
	n, _ := file.Read(head)
	return n == len(head) && head[typeAt]|head[typeAt+1] == executable
}

// A memoryRange is a part of the address space.
type memoryRange struct{ start, end uintptr }

// readOnlyRanges returns the parts of a file that nothing writes to, from the
// content of /proc/self/maps.
func readOnlyRanges(maps, file string) []memoryRange {
	var found []memoryRange
	for line := range strings.Lines(maps) {
		// 00400000-004d3000 r-xp 00000000 fe:00 1234    /jobmesh/jobmesh-wrap
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[5] != file || !strings.HasPrefix(fields[1], "r-") || !strings.HasSuffix(fields[1], "p") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, strconv.IntSize)
		end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
		if err == nil && err2 == nil && start < end {
			found = append(found, memoryRange{uintptr(start), uintptr(end)})
		}
	}
	return found
}
