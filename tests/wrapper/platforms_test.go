package wrapper

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
)

// emulators are the programs of qemu-user for other processors. The kernel itself runs the
// commands that they start, so these are programs of this machine.
var emulators = map[string]string{
	"amd64": "qemu-x86_64", "arm": "qemu-arm", "arm64": "qemu-aarch64",
	"ppc64le": "qemu-ppc64le", "riscv64": "qemu-riscv64", "s390x": "qemu-s390x",
}

// emulated says that a missing emulator is a failure; ci/platforms sets it.
var emulated = os.Getenv("JOBMESH_TEST_PLATFORMS") != ""

// The program of every platform of the image waits, starts a command, forwards a signal to it,
// stops the proxy, and exits with the command's code.
func TestEveryPlatformRuns(t *testing.T) {
	notUnderRace(t)
	recipe, err := image.LoadRecipe("../..", "jobmesh-wrap", "1.2.3", "")
	require.NoError(t, err)
	platforms, err := image.SelectPlatforms(recipe.Platforms)
	require.NoError(t, err)
	for _, platform := range platforms {
		t.Run(platform.Name, func(t *testing.T) {
			program := on(t, platform)
			r := program(command(t, "version")).run()
			assert.Equal(t, "jobmesh-wrap 1.2.3\n", r.stdout, r.stderr)

			r = program(command(t, "--mesh=none", "--", "sh", "-c", "exit 4")).run()
			assert.Equal(t, 4, r.code, "handed over: %s", r.stderr)

			p := startProxy(t, "", 100*time.Millisecond)
			r = program(wrapped(t, p, nil, "sh", "-c", "exit 5")).run()
			assert.Equal(t, 5, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())
			p.waitedFor()
			assert.Contains(t, r.stderr, "proxy stopped after")

			p, gate := startProxy(t, "", 0), newGate(t)
			w := program(wrapped(t, p, nil, "bash", "-c", "trap 'exit 7' TERM; echo up >&2; "+gate.wait())).start().until("up\n")
			w.signal(syscall.SIGTERM)
			r = w.wait()
			assert.Equal(t, 7, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())

			p = startProxy(t, "", time.Hour)
			w = program(wrapped(t, p, nil, "echo", "started")).start()
			p.untilAsked()
			w.signal(syscall.SIGTERM)
			r = w.wait()
			assert.Equal(t, 143, r.code, r.stderr)
			assert.Empty(t, r.stdout)
			assert.Equal(t, 1, p.untilStopped())
		})
	}
}

// on returns a function that makes a process run the program of a platform, through an emulator
// where this machine has another one.
func on(t *testing.T, platform image.Platform) func(*process) *process {
	t.Helper()
	runner := ""
	if platform.Architecture() != runtime.GOARCH {
		var err error
		runner, err = exec.LookPath(emulators[platform.Architecture()])
		if err != nil && !emulated {
			t.Skip("needs qemu-user, which ci/platforms installs")
		}
		require.NoError(t, err)
	}
	file := filepath.Join(t.TempDir(), "jobmesh-wrap")
	require.NoError(t, os.WriteFile(file, released(t, platform), 0o755))
	return func(p *process) *process {
		p.cmd.Path, p.cmd.Args[0] = file, file
		if runner != "" {
			p.cmd.Path, p.cmd.Args = runner, append([]string{runner}, p.cmd.Args...)
		}
		return p
	}
}
