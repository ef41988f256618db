package elfcheck

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
)

// compiled returns a real program for linux/amd64.
func compiled(t *testing.T, flags ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	build := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), source)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	program, err := os.ReadFile(out)
	require.NoError(t, err)
	return program
}

func TestStatic(t *testing.T) {
	assert.NoError(t, Static(compiled(t), "linux/amd64"))
	loaded := compiled(t, "-buildmode=pie")
	assert.ErrorIs(t, Static(loaded, "linux/amd64"), ErrDynamic, "it names a loader")

	// Without the loader the program is like one of Rust with musl: static, position
	// independent, and with a dynamic section.
	f, err := elf.NewFile(bytes.NewReader(loaded))
	require.NoError(t, err)
	patched := false
	for i, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			const firstHeader, headerSize = 64, 56 // of a 64-bit program
			binary.LittleEndian.PutUint32(loaded[firstHeader+i*headerSize:], uint32(elf.PT_NULL))
			patched = true
		}
	}
	require.True(t, patched)
	assert.NoError(t, Static(loaded, "linux/amd64"))
}

func TestOtherPrograms(t *testing.T) {
	assert.ErrorContains(t, Static([]byte("#!/bin/sh\nexec something longer than a header\n"), "linux/amd64"), "bad magic number")
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	other := "linux/s390x"
	if runtime.GOARCH == "s390x" {
		other = "linux/amd64"
	}
	assert.ErrorContains(t, Static(program, other), "is for EM_")
}

func TestEveryPlatformHasItsMachine(t *testing.T) {
	platforms, err := image.SelectPlatforms(image.PlatformNames())
	require.NoError(t, err)
	unused := maps.Clone(machines)
	for _, p := range platforms {
		architecture := strings.Split(p.Name, "/")[1]
		assert.Contains(t, machines, architecture)
		delete(unused, architecture)
	}
	assert.Empty(t, unused)
}
