//go:build !linux

package sandbox

import "errors"

// Inside is never true: this system has no such namespaces.
func Inside() bool { return false }

// Cgroup is empty: this system has no control groups.
func Cgroup() string { return "" }

// Init does nothing here.
func Init() {}

// Run always fails.
func Run() (int, error) { return 0, errors.ErrUnsupported }
