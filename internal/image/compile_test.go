package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// program makes a Go module of these files.
func program(t *testing.T, files map[string]string) *Compiler {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module sample\n\ngo 1.26.0\n\ntoolchain " + toolchain(t) + "\n"
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	c, err := NewCompiler(context.Background(), dir)
	require.NoError(t, err)
	return c
}

// toolchain returns the toolchain of this repository.
func toolchain(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "\ntoolchain ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

// slow returns a program that takes a compiler half a minute or more.
func slow() string {
	var text strings.Builder
	text.WriteString("package main\n\nfunc slow(x, y int) int {\n")
	for i := range 60_000 {
		fmt.Fprintf(&text, "if x > %d { y += x ^ %d } else { x -= y }\n", i, i*3)
	}
	text.WriteString("return x + y\n}\n\nfunc init() { println(slow(1, 2)) }\n")
	return text.String()
}

func TestIgnored(t *testing.T) {
	passed := map[string]string{"GOCACHE": "/x", "GOPROXY": "off"}
	for name, c := range map[string]struct{ entries, want []string }{
		"none":                         {[]string{"HOME=/root", "PATH=/bin"}, nil},
		"passed on":                    {[]string{"GOCACHE=/x", "GOPROXY=off"}, nil},
		"of a build":                   {[]string{"GOFLAGS=-tags=x", "GOAMD64=v3", "CGO_CFLAGS=-O0"}, []string{"CGO_CFLAGS", "GOAMD64", "GOFLAGS"}},
		"set to nothing, and no entry": {[]string{"GOFLAGS=", "", "GODEBUG"}, nil},
		"twice":                        {[]string{"GOAMD64=v3", "GOAMD64=v2"}, []string{"GOAMD64"}},
	} {
		assert.Equal(t, c.want, ignored(c.entries, passed), name)
	}
}

const empty = "package main\n\nfunc main() {}\n"

// A program that does not compile stops the others, also the compilers that are running.
func TestFirstFailureStopsTheOthers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	broken := "package main\n\nvar _ = nothing\n"
	platforms, err := SelectPlatforms([]string{"linux/amd64", "linux/arm64"})
	require.NoError(t, err)
	slices.Reverse(platforms) // the failing one comes first, in case only one is compiled at a time

	both := program(t, map[string]string{"main.go": empty, "broken_arm64.go": broken, "slow_amd64.go": slow()})
	_, err = both.CompileAll(context.Background(), Recipe{Package: "."}, platforms, func(p Platform) { t.Error("compiled to its end:", p.Name) })
	require.ErrorContains(t, err, ". for linux/arm64: ./broken_arm64.go:3:9: undefined: nothing")
	assert.Equal(t, fault.Build, fault.Code(err))
	assertNothingLeft(t)
}

func TestInterruptedCompileEndsAtOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	platforms, err := SelectPlatforms([]string{"linux/amd64"})
	require.NoError(t, err)
	c := program(t, map[string]string{"main.go": empty, "slow_amd64.go": slow()})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		assert.Eventually(t, func() bool { return compilers() > 0 }, 5*time.Minute, time.Millisecond)
	}()
	_, err = c.CompileAll(ctx, Recipe{Package: "."}, platforms, func(p Platform) { t.Error("compiled to its end:", p.Name) })
	assert.ErrorIs(t, err, context.Canceled)
	assertNothingLeft(t)
}

// assertNothingLeft holds when no compiler that this test has started is running any more, and
// the temporary folder is empty.
func assertNothingLeft(t *testing.T) {
	t.Helper()
	// A compiler that nobody has stopped runs for longer than this.
	assert.Eventually(t, func() bool { return compilers() == 0 }, 10*time.Second, time.Millisecond)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	assert.Empty(t, left)
}

// compilers counts the processes that compile into the temporary folder of this test.
func compilers() int {
	found := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		text, _ := os.ReadFile(line) // it may have ended
		if program, arguments, _ := strings.Cut(string(text), "\x00"); filepath.Base(program) == "compile" && strings.Contains(arguments, os.TempDir()) {
			found++
		}
	}
	return found
}
