// Package fault gives errors what a command line needs beside their text: the
// exit code and something to try.
package fault

import (
	"errors"
	"slices"
)

// Exit codes of jobmesh. They are part of its contract.
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

// Codes are the exit codes with their meaning, for the reference.
var Codes = []struct {
	Code    int
	Meaning string
}{
	{Findings, "findings at or above the limit asked for; or something was left as it is, refused, or shown and not done"},
	{Usage, "a flag, an argument or a setting is wrong"},
	{Input, "an input is not as pinned"},
	{Build, "the build failed"},
	{Registry, "a registry or the network failed"},
	{Auth, "a registry did not accept the credentials"},
	{LocalIO, "a local file could not be read or written"},
	{Verification, "what was built or published is not what it should be"},
	{Interrupted, "stopped by Ctrl-C"},
}

// An Error is a failure with its exit code.
type Error struct {
	// Code is the exit code.
	Code int
	// Hints are things to try, one a line.
	Hints []string

	err error
}

// New wraps err, whose text is one sentence: object first, cause last.
func New(code int, err error, hints ...string) *Error {
	return &Error{Code: code, Hints: hints, err: err}
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Code returns the exit code for any error; one that carries none is a local
// failure.
func Code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return LocalIO
}

// Hints returns what to try, as far as the error knows.
func Hints(err error) []string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hints
	}
	return nil
}

// certain is the order in which exit codes count where several apply: what was
// found to be wrong comes before what could not be found out.
var certain = []int{Input, Verification, Auth, Registry, LocalIO}

// Join makes one error of several, each on a line of its own, with all their hints
// and then the further ones. It is nil for none.
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
