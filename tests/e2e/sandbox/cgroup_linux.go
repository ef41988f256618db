package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupPrefix = "jobmesh-e2e-" // followed by the id of the process that removes it
)

// makeCgroup makes a control group for this process in every hierarchy, and returns its path below their roots. It
// first removes groups that a killed process has left.
func makeCgroup() (string, error) {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return "", err
	}
	removeStaleCgroups(hierarchies)
	name := cgroupPrefix + strconv.Itoa(os.Getpid())
	for _, hierarchy := range hierarchies {
		if err := makeUsable(hierarchy, name); err != nil {
			return "", errors.Join(fmt.Errorf("control group: %w", err), removeCgroup("/"+name))
		}
	}
	return "/" + name, nil
}

// cgroupHierarchies lists the mounted hierarchies: a single one for version 2; for version 1, one for each controller,
// and a version 2 hierarchy that runc uses too.
func cgroupHierarchies() ([]string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &stat); err != nil {
		return nil, fmt.Errorf("control groups: %s: %w", cgroupRoot, err)
	}
	if stat.Type == unix.CGROUP2_SUPER_MAGIC {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	var hierarchies []string
	for _, entry := range entries {
		dir := filepath.Join(cgroupRoot, entry.Name())
		if !entry.IsDir() { // names such as cpu,cpuacct are also reached through symbolic links
			continue
		}
		if err := unix.Statfs(dir, &stat); err == nil &&
			(stat.Type == unix.CGROUP_SUPER_MAGIC || stat.Type == unix.CGROUP2_SUPER_MAGIC) {
			hierarchies = append(hierarchies, dir)
		}
	}
	if len(hierarchies) == 0 {
		return nil, fmt.Errorf("control groups: none is mounted below %s", cgroupRoot)
	}
	return hierarchies, nil
}

// kubeletControllers are the controllers that a kubelet needs in its group, if the machine has them.
var kubeletControllers = []string{"cpu", "cpuset", "hugetlb", "memory", "pids"}

func makeUsable(hierarchy, name string) error {
	group := filepath.Join(hierarchy, name)
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	switch {
	case hierarchy == cgroupRoot: // version 2: a group gets only the controllers that its parent enables for it
		available, err := os.ReadFile(filepath.Join(hierarchy, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for _, controller := range strings.Fields(string(available)) {
			if !slices.Contains(kubeletControllers, controller) {
				continue
			}
			for _, dir := range []string{hierarchy, group} {
				if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
					return err
				}
			}
		}
	case filepath.Base(hierarchy) == "cpuset": // version 1: a new cpuset has no processor and no memory
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			all, err := os.ReadFile(filepath.Join(hierarchy, file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(group, file), bytes.TrimSpace(all), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroup removes the group with all groups below it. Its processes are killed, but may take a moment to
// disappear.
func removeCgroup(group string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		root := filepath.Join(hierarchy, group)
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := removeTree(root)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("control group %s: %w", root, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// removeTree removes only folders, the deepest first: the files of a control group disappear with it.
func removeTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeStaleCgroups removes what killed runs have left. A group that it cannot remove is still in use, and stays.
func removeStaleCgroups(hierarchies []string) {
	for _, hierarchy := range hierarchies {
		left, _ := filepath.Glob(filepath.Join(hierarchy, cgroupPrefix+"*"))
		for _, group := range left {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(group), cgroupPrefix))
			if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
				_ = removeTree(group)
			}
		}
	}
}
