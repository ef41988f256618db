// Package fault adds to errors what a command line needs beside their text: the exit code and
// hints.
package fault

import (
	"errors"
	"slices"
)

// These are the exit codes of jobmesh. They are part of its contract.
const (
	Findings     = 1
	Usage        = 2
	Input        = 3
	Build        = 4
	Registry     = 5
	Auth         = 6
	LocalIO      = 7
	Verification = 8
	Interrupted  = 130
)

// Codes are the exit codes with their meaning, for the reference page.
var Codes = []struct {
	Code    int
	Meaning string
}{
	{Findings, "findings at or above --fail-on; or an object was left as it is, refused, or shown and not done"},
	{Usage, "a flag, an argument or a setting is wrong"},
	{Input, "an input differs from what is pinned"},
	{Build, "the build failed"},
	{Registry, "a registry or the network failed"},
	{Auth, "a registry did not accept the credentials"},
	{LocalIO, "a local file could not be read or written"},
	{Verification, "the verification of what was built or published failed"},
	{Interrupted, "stopped by Ctrl-C"},
}

// An Error is a failure with its exit code.
type Error struct {
	// Code is the exit code.
	Code int
	// Hints are things to try, one on each line.
	Hints []string

	err error
}

// New wraps err, whose text is one sentence: the object comes first, and the cause last.
func New(code int, err error, hints ...string) *Error {
	return &Error{Code: code, Hints: hints, err: err}
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Code returns the exit code of any error; an error without a code is a local failure.
func Code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return LocalIO
}

// Hints returns the hints of an error, and nil where it has none.
func Hints(err error) []string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hints
	}
	return nil
}

// certain is the order in which exit codes count where several apply: a mistake that was found
// comes before a check that was not possible.
var certain = []int{Input, Verification, Auth, Registry, LocalIO}

// Join makes one error of several. Each is on a line of its own; all their hints follow, and
// then the further hints. It returns nil where there are no errors.
func Join(errs []error, hints ...string) error {
	if len(errs) == 0 {
		return nil
	}
	code := Code(errs[0])
	var once []string
	add := func(hints []string) {
		for _, hint := range hints {
			if !slices.Contains(once, hint) {
				once = append(once, hint)
			}
		}
	}
	for _, err := range errs {
		if rank(Code(err)) < rank(code) {
			code = Code(err)
		}
		add(Hints(err))
	}
	add(hints)
	return New(code, errors.Join(errs...), once...)
}

func rank(code int) int {
	if i := slices.Index(certain, code); i >= 0 {
		return i
	}
	return len(certain)
}
