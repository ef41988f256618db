package jobmesh

import (
	"archive/tar"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/rogpeppe/go-internal/testscript"
)

// releases DIR serves a folder as a project serves its releases, at $RELEASES. As at GitHub, a
// tag is one segment of the path: release%2Fv1 is the folder release_v1, and release/v1 does
// not exist. The commands hits and answer apply to it.
func startReleases(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: releases DIR")
	}
	dir := ts.MkAbs(args[0])
	i := &images{}
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.ReplaceAll(r.URL.EscapedPath(), "%2F", "_")
		if strings.Contains(path, "/moved/") {
			http.Redirect(w, r, "https://elsewhere.invalid/file?token=hunter2", http.StatusFound)
			return
		}
		http.ServeFile(w, &http.Request{Method: r.Method, URL: r.URL, Header: r.Header}, filepath.Join(dir, filepath.Clean(path)))
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.ServeHTTP(w, r, files) }))
	host := strings.TrimPrefix(server.URL, "http://")
	ofScript.Store(host, i)
	ts.Defer(func() {
		server.Close()
		ofScript.Delete(host)
	})
	ts.Setenv("IMAGES", host)
	ts.Setenv("RELEASES", server.URL)
}

// inlayer DIST PLATFORM NAME [FILE] asserts that the layer of a platform's image has a program,
// with the content of FILE. It writes the labels of that image to DIST/labels.
func inLayer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: inlayer DIST PLATFORM NAME [FILE]")
	}
	outer, err := layout.ImageIndexFromPath(filepath.Join(ts.MkAbs(args[0]), "oci"))
	ts.Check(err)
	listed, err := outer.IndexManifest()
	ts.Check(err)
	inner, err := outer.ImageIndex(listed.Manifests[0].Digest)
	ts.Check(err)
	index, err := inner.IndexManifest()
	ts.Check(err)
	at := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Platform.String() == args[1] })
	if at < 0 {
		ts.Fatalf("no image for %s", args[1])
	}
	img, err := inner.Image(index.Manifests[at].Digest)
	ts.Check(err)
	config, err := img.ConfigFile()
	ts.Check(err)
	labels, err := json.Marshal(config.Config.Labels)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "labels"), labels, 0o600))
	layers, err := img.Layers()
	ts.Check(err)
	if len(layers) != 1 {
		ts.Fatalf("%d layers", len(layers))
	}
	content, err := layers[0].Uncompressed()
	ts.Check(err)
	files := tar.NewReader(content)
	for {
		header, err := files.Next()
		if err != nil {
			ts.Fatalf("no file %s: %v", args[2], err)
		}
		if header.Name != args[2] {
			continue
		}
		got, err := io.ReadAll(files)
		ts.Check(err)
		if header.Mode != 0o555 || len(args) == 4 && string(got) != ts.ReadFile(args[3]) {
			ts.Fatalf("%s has mode %o and %d bytes, not those of %s", args[2], header.Mode, len(got), args[3])
		}
		return
	}
}
