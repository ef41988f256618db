package wrapper

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
)

// These are the budgets of a linux/amd64 build, in bytes. They are promises to users, because
// an init container copies this file into every pod.
const (
	sizeBudget = 2_200_000
	gzipBudget = 1_000_000
)

// A very busy machine may cause one thread more than the budget, so the median of five runs
// counts.
func TestThreadBudget(t *testing.T) {
	notUnderRace(t)
	const budget = 10
	var counts []int
	for range 5 {
		p := startProxy(t, "", time.Hour)
		w := wrapped(t, p, nil, "sh", "-c", "echo up >&2; exec sleep 1000").env("GOMAXPROCS=16").start()
		for range 20 {
			p.untilAsked()
		}
		p.becomesReady()
		w.until("up\n")
		for range 20 {
			w.signal(syscall.SIGCONT)
		}
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", w.cmd.Process.Pid)) // no thread ends before the wrapper does
		require.NoError(t, err)
		counts = append(counts, len(threads))
		w.signal(syscall.SIGTERM)
		w.wait()
	}
	slices.Sort(counts)
	assert.LessOrEqual(t, counts[len(counts)/2], budget)
	t.Logf("threads: %v", counts)
}

// released builds the wrapper for a platform with the flags of a release. It uses the compiler
// of the tests, because another one could not be downloaded from the network namespace in which
// they run.
func released(t *testing.T, p image.Platform) []byte {
	t.Helper()
	recipe, err := image.LoadRecipe("../..", "jobmesh-wrap", "1.2.3", "")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "jobmesh-wrap")
	arguments := append([]string{"build"}, recipe.GoFlags()...)
	build := exec.Command("go", append(arguments, "-o", path, "github.com/jobmesh/jobmesh/cmd/jobmesh-wrap")...)
	build.Env = append(append(os.Environ(), "GOFLAGS=", "GOOS=linux", "CGO_ENABLED=0"), p.Environment()...)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	binary, err := os.ReadFile(path)
	require.NoError(t, err)
	return binary
}

func TestSizeBudget(t *testing.T) {
	platforms, err := image.SelectPlatforms([]string{"linux/amd64"})
	require.NoError(t, err)
	binary := released(t, platforms[0])
	assert.LessOrEqual(t, len(binary), sizeBudget)

	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	require.NoError(t, err)
	_, err = writer.Write(binary)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	assert.LessOrEqual(t, packed.Len(), gzipBudget)
	t.Logf("%d bytes, %d with gzip -9", len(binary), packed.Len())
}

// Every platform's program is static: it runs in an image that contains nothing else.
func TestStaticOnEveryPlatform(t *testing.T) {
	recipe, err := image.LoadRecipe("../..", "jobmesh-wrap", "1.2.3", "")
	require.NoError(t, err)
	platforms, err := image.SelectPlatforms(recipe.Platforms)
	require.NoError(t, err)
	for _, p := range platforms {
		program, err := elf.NewFile(bytes.NewReader(released(t, p)))
		require.NoError(t, err)
		for _, segment := range program.Progs {
			assert.NotEqual(t, elf.PT_INTERP, segment.Type, p.Name)
			assert.NotEqual(t, elf.PT_DYNAMIC, segment.Type, p.Name)
		}
	}
}

// The imports of the wrapper are listed by name, because one import can double its size.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{.Module.Path}}{{else}}{{.ImportPath}}{{end}}",
		"github.com/jobmesh/jobmesh/cmd/jobmesh-wrap").Output()
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, module, foreign := strings.Cut(line, " ")
		if foreign {
			ours := module == "github.com/jobmesh/jobmesh"
			assert.True(t, ours || path == "golang.org/x/net/dns/dnsmessage", "the wrapper may not link %s", path)
		}
		assert.NotContains(t, []string{"net", "net/http", "fmt", "reflect", "encoding/json", "os/exec"}, path)
	}
}
