package docs

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// network starts a registry that answers for every name below example.com, the names
// that the documentation uses for what belongs to its reader, a file server with a release
// under the name downloads.example.com, and a proxy that leads
// there and nowhere else. It returns the variables that make programs use both. The
// registry holds an image of an application, shop/migrate:1.4.
func network(t *testing.T, referrers bool) []string {
	pushed := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))
	downloads := http.StripPrefix("/jobmesh/", http.FileServer(http.Dir(os.Getenv("JOBMESH_RELEASE"))))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "downloads.example.com" {
			downloads.ServeHTTP(w, r)
			return
		}
		pushed.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that go away
	server.StartTLS()                                   // its certificate is for *.example.com
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || !strings.HasSuffix(r.Host, ".example.com:443") {
			http.Error(w, r.Host+" is not below example.com", http.StatusForbidden)
			return
		}
		tunnel(w, server.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)
	plain := httptest.NewServer(handler)
	defer plain.Close()
	pushApplication(t, strings.TrimPrefix(plain.URL, "http://"))

	authority := filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(authority, text, 0o600))
	variables := []string{"SSL_CERT_FILE=" + authority}
	for variable, value := range map[string]string{"https_proxy": proxy.URL, "http_proxy": proxy.URL, "no_proxy": ""} {
		// Programs differ in which of the two they prefer.
		variables = append(variables, variable+"="+value, strings.ToUpper(variable)+"="+value)
	}
	return variables
}

// tunnel connects the client of a proxy with an address.
func tunnel(w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, here) // an end is an end
		there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// pushApplication pushes an image with an ENTRYPOINT, for two platforms.
func pushApplication(t *testing.T, host string) {
	var index v1.ImageIndex = empty.Index
	for _, architecture := range []string{"amd64", "arm64"} {
		image, err := random.Image(64, 1)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		config.OS, config.Architecture = "linux", architecture
		config.Config.Entrypoint, config.Config.Cmd = []string{"/migrate"}, []string{"--all"}
		image, err = mutate.ConfigFile(image, config)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	tag, err := name.NewTag(host + "/shop/migrate:1.4")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(tag, index))
}
