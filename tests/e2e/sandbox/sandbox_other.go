//go:build !linux

package sandbox

import "errors"

// Inside is never true: there are no such namespaces here.
func Inside() bool { return false }

// Cgroup is empty: there are no control groups here.
func Cgroup() string { return "" }

// Init does nothing here.
func Init() {}

// Run fails.
func Run() (int, error) { return 0, errors.ErrUnsupported }
