package attack

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cli"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/sbom"
)

// TestMain is the command line, where a test runs it as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("JOBMESH_TEST_VERIFY") != "" {
		code := cli.Run(context.Background(), append([]string{"verify"}, os.Args[1:]...), jobmesh.Version, cli.SystemStreams())
		// The figures of getrusage for a child include the memory of its parent, so this file
		// is read.
		status, err := os.ReadFile("/proc/self/status")
		if err == nil {
			err = os.WriteFile(os.Getenv("JOBMESH_TEST_VERIFY"), status, 0o600)
		}
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// most is the most memory that verify may take, in bytes.
const most = 200 << 20

// Whatever is served, verify takes less than 200 MB, and ends with a sentence.
func TestMemory(t *testing.T) {
	m := newMaker(t)
	noise := make([]byte, 47<<20)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(x *image.Index, s *server)
		code   int
	}{
		"as released": {func(*image.Index, *server) {}, 0},
		"a layer of 4 MB that unpacks to 4 GB": {func(x *image.Index, _ *server) {
			m.rawLayer(x, make([]byte, 1<<30))
			m.seal(x)
		}, 8},
		"layers as large as they may be": {func(x *image.Index, _ *server) {
			x.Children[0].Program = noise
			m.layer(x, func([]byte) []entry { return []entry{regular("jobmesh-wrap", noise)} })
			m.seal(x)
			x.Children[1] = x.Children[0]
			m.index(x, func(i *v1.IndexManifest) {})
			m.attest(x, nil)
		}, 8},
		"documents of nothing but values": {func(x *image.Index, _ *server) {
			x.Attachments = nil
			for _, open := range []string{"{},", "[],", "1,", `{"a":1},`} {
				for _, kind := range []types.MediaType{sbom.SPDX, sbom.CycloneDX} {
					text := `{"files":[` + strings.Repeat(open, 600_000) + `{}]}`
					a, err := image.Attach(x.Blob.Descriptor, kind, []byte(text[:min(len(text), 1<<21-1)]), nil)
					require.NoError(t, err)
					x.Attachments = append(x.Attachments, a)
				}
			}
		}, 8},
		"documents as large as they may be": {func(x *image.Index, _ *server) {
			for n := range 40 {
				text := `{"files":[` + strings.Repeat(`{"checksums":[{"algorithm":"SHA256"}]},`, 10_000) + `{}]` + strings.Repeat(" ", n) + "}"
				a, err := image.Attach(x.Blob.Descriptor, sbom.SPDX, []byte(text), nil)
				require.NoError(t, err)
				x.Attachments = append([]image.Attachment{a}, x.Attachments...)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, x := serve(t), m.release()
			c.change(x, s)
			s.push(x, "p/jobmesh-wrap:"+m.recipe.Version)
			cmd := exec.CommandContext(context.Background(), os.Args[0], s.address+"/p/jobmesh-wrap:"+m.recipe.Version)
			file := filepath.Join(t.TempDir(), "status")
			cmd.Env = append(os.Environ(), "JOBMESH_TEST_VERIFY="+file)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run() // the exit code is checked
			assert.Equal(t, c.code, cmd.ProcessState.ExitCode(), out.String())
			assert.NotContains(t, out.String(), "goroutine ")
			status, err := os.ReadFile(file)
			require.NoError(t, err, out.String())
			_, rest, _ := strings.Cut(string(status), "VmHWM:")
			var kilobytes int64
			_, err = fmt.Sscan(rest, &kilobytes)
			require.NoError(t, err)
			assert.Less(t, kilobytes<<10, int64(most))
			t.Logf("%d MB", kilobytes>>10)
		})
	}
}
