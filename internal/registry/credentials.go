package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/secret"
)

// A keychain remembers for which registries there were no credentials, so that an error can say
// what was tried.
type keychain struct {
	from authn.Keychain
	// place says where the credentials of a registry are looked for.
	place func(registry string) string

	mu        sync.Mutex
	anonymous map[string]bool
}

func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext is called by go-containerregistry, which prefers it to Resolve.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	found, err := k.ask(ctx, target)
	if err != nil {
		// The output of the credential helper follows, which may contain anything.
		cause, _, _ := strings.Cut(err.Error(), ", out: ")
		return nil, fault.New(fault.Auth, fmt.Errorf("registry %s: its credentials cannot be read from %s: %s",
			target.RegistryStr(), k.place(target.RegistryStr()), cause), "docker login "+target.RegistryStr())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous == nil {
		k.anonymous = map[string]bool{}
	}
	k.anonymous[target.RegistryStr()] = found == authn.Anonymous
	return found, nil
}

// helperStderr is locked while a credential helper runs, because the helper inherits the stderr
// of this process and may write anything to it.
var helperStderr sync.Mutex

// ask asks for credentials. From then on they are masked in everything that is printed.
func (k *keychain) ask(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	helperStderr.Lock()
	defer helperStderr.Unlock()
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		before := os.Stderr
		os.Stderr = nowhere
		defer func() {
			os.Stderr = before
			_ = nowhere.Close() // nothing was written to it
		}()
	}
	found, err := authn.Resolve(ctx, k.from, target)
	if err != nil {
		return nil, err
	}
	config, err := authn.Authorization(ctx, found)
	if err != nil {
		return nil, err
	}
	secret.HideLogin(config.Username, config.Password)
	secret.Hide(config.Auth, config.IdentityToken, config.RegistryToken)
	return found, nil
}

// isAnonymous tells whether no credentials were sent to a registry.
func (k *keychain) isAnonymous(registry string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	anonymous, asked := k.anonymous[registry]
	return anonymous || !asked
}

// source says which credentials were sent to a registry, without the credentials themselves.
func (k *keychain) source(registry string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous[registry] {
		return "no credentials were found for it in " + k.place(registry)
	}
	return "with the credentials for it from " + k.place(registry)
}

// place says where authn.DefaultKeychain takes the credentials of a registry from: the first of
// these files that exists, or the credential helper that it names.
func place(registry string) string {
	file := credentialsFile()
	if file == "" {
		return "the files of docker and podman"
	}
	var config struct {
		Helpers map[string]string `json:"credHelpers"`
		Store   string            `json:"credsStore"`
	}
	if text, err := os.ReadFile(file); err != nil || json.Unmarshal(text, &config) != nil {
		return file
	}
	if registry == name.DefaultRegistry {
		registry = authn.DefaultAuthKey
	}
	helper, ok := config.Helpers[registry]
	if !ok {
		helper = config.Store
	}
	if helper == "" {
		return file
	}
	return "docker-credential-" + helper + ", which " + file + " names"
}

// credentialsFile returns the file with the credentials, and "" where there is none. The order
// is that of authn.DefaultKeychain, which does not say which file it took.
func credentialsFile() string {
	home, _ := os.UserHomeDir() // "" means no home folder
	docker := filepath.Join(home, ".docker")
	setting := os.Getenv("DOCKER_CONFIG")
	if home != "" && isFile(filepath.Join(docker, "config.json")) || setting != "" && isFile(filepath.Join(setting, "config.json")) {
		if setting != "" {
			docker = setting // this folder counts, even without a file in it
		}
		return filepath.Join(docker, "config.json")
	}
	settings := os.Getenv("XDG_CONFIG_HOME")
	if settings == "" && home != "" {
		settings = filepath.Join(home, ".config")
	}
	for _, file := range []string{os.Getenv("REGISTRY_AUTH_FILE"), below(os.Getenv("XDG_RUNTIME_DIR")), below(settings)} {
		if file != "" && isFile(file) {
			return file
		}
	}
	return ""
}

// below returns podman's file in a folder.
func below(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "containers", "auth.json")
}

func isFile(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && !stat.IsDir()
}
