package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The place in the message is the one from which go-containerregistry takes the credentials:
// each file here has another user.
func TestPlaceOfCredentials(t *testing.T) {
	const host = "registry.example"
	target, err := name.NewRegistry(host)
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		files []string
		env   map[string]string
		want  string // the file; "" means none
	}{
		{"nothing", nil, nil, ""},
		{"docker", []string{"home/.docker/config.json", "auth.json", "home/.config/containers/auth.json"}, map[string]string{"REGISTRY_AUTH_FILE": "auth.json"}, "home/.docker/config.json"},
		{"docker elsewhere", []string{"d/config.json", "home/.docker/config.json"}, map[string]string{"DOCKER_CONFIG": "d"}, "d/config.json"},
		{"docker where nothing is", []string{"auth.json"}, map[string]string{"DOCKER_CONFIG": "none", "REGISTRY_AUTH_FILE": "auth.json"}, "auth.json"},
		{"podman's setting", []string{"auth.json", "run/containers/auth.json"}, map[string]string{"REGISTRY_AUTH_FILE": "auth.json", "XDG_RUNTIME_DIR": "run"}, "auth.json"},
		{"podman's session", []string{"run/containers/auth.json", "home/.config/containers/auth.json"}, map[string]string{"XDG_RUNTIME_DIR": "run"}, "run/containers/auth.json"},
		{"podman after a restart", []string{"home/.config/containers/auth.json"}, map[string]string{"XDG_RUNTIME_DIR": "run"}, "home/.config/containers/auth.json"},
		{"podman's folder", []string{"xdg/containers/auth.json"}, map[string]string{"XDG_CONFIG_HOME": "xdg"}, "xdg/containers/auth.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// All cases share one folder, because docker's library looks up the home folder
			// only once.
			dir := filepath.Join(os.TempDir(), fmt.Sprintf("jobmesh-credentials-%d", os.Getpid()))
			t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
			for _, variable := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
				value := c.env[variable]
				if value != "" {
					value = filepath.Join(dir, value)
				}
				t.Setenv(variable, value)
			}
			t.Setenv("HOME", filepath.Join(dir, "home"))
			for _, file := range c.files {
				path := filepath.Join(dir, file)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, []byte(`{"auths":{"`+host+`":{"username":"`+file+`","password":"x"}}}`), 0o600))
			}
			found, err := authn.DefaultKeychain.Resolve(target)
			require.NoError(t, err)
			if c.want == "" {
				assert.Equal(t, authn.Anonymous, found)
				assert.Equal(t, "the files of docker and podman", place(host))
				return
			}
			credentials, err := found.Authorization()
			require.NoError(t, err)
			assert.Equal(t, c.want, credentials.Username, "the library has another order now")
			assert.Equal(t, filepath.Join(dir, c.want), place(host))
		})
	}
}
