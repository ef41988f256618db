package jobmesh

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	program "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/openpgp"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// helmplugin FOLDER [KEY] writes what make release leaves of the Helm plugin for this machine,
// without goreleaser: the archive, its checksum, and with a key its provenance.
func helmPlugin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: helmplugin FOLDER [KEY]")
	}
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(folder, 0o700))
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		ts.Check(err)
		return text
	}
	write := func(name string, text []byte) { ts.Check(os.WriteFile(filepath.Join(folder, name), text, 0o600)) }
	created := time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)
	packed, err := plugin.Pack(plugin.Source{
		Version: program.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH, Modified: created,
		Metadata: read(filepath.Join(ts.Getenv("SOURCES"), "plugins", "helm", "plugin.yaml")),
		Program:  read(ts.Getenv("JOBMESH")), License: []byte("Apache 2.0"),
	})
	ts.Check(err)
	write(packed.FileName(), packed.Bytes)
	write("checksums.txt", fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(packed.Bytes), packed.FileName()))
	ts.Setenv("PLUGIN", packed.FileName())
	ts.Setenv("PLUGIN_TAG", packed.Tag())
	if len(args) == 1 {
		return
	}
	key, err := signature.ReadKey(args[1], read(ts.MkAbs(args[1])), nil)
	ts.Check(err)
	signer, err := openpgp.Of(key)
	ts.Check(err)
	signed, err := signer.ClearSign(packed.Statement(), created)
	ts.Check(err)
	write(packed.FileName()+".prov", signed)
	ring, err := signer.Keyring()
	ts.Check(err)
	write("jobmesh.gpg", ring)
}
