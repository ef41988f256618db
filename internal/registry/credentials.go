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

// A keychain remembers for which registries there were no credentials, so that a
// refusal can say what was tried.
type keychain struct {
	from authn.Keychain
	// place says where from looks for those of a registry.
	place func(registry string) string

	mu        sync.Mutex
	anonymous map[string]bool
}

func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext is what go-containerregistry calls where it is there.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	found, err := k.ask(ctx, target)
	if err != nil {
		// What a credential helper wrote follows, and nobody knows what that is.
		cause, _, _ := strings.Cut(err.Error(), ", out: ")
		return nil, fault.New(fault.Auth, fmt.Errorf("registry %s: its credentials cannot be had from %s: %s",
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

// helperStderr is held while a program that keeps credentials is asked: its stderr is
// that of this process, which it may fill with anything.
var helperStderr sync.Mutex

// ask asks for credentials, and has them masked from then on in whatever is printed.
func (k *keychain) ask(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	helperStderr.Lock()
	defer helperStderr.Unlock()
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		before := os.Stderr
		os.Stderr = nowhere
		defer func() {
			os.Stderr = before
			_ = nowhere.Close() // nothing is kept in it
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

// isAnonymous tells whether a registry got no credentials.
func (k *keychain) isAnonymous(registry string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	anonymous, asked := k.anonymous[registry]
	return anonymous || !asked
}

// source says which credentials a registry got, never the credentials.
func (k *keychain) source(registry string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous[registry] {
		return "no credentials were found for it in " + k.place(registry)
	}
	return "with the credentials for it from " + k.place(registry)
}

// place says where authn.DefaultKeychain takes the credentials of a registry from: the
// first of these files that is there, or the program that it names.
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

// credentialsFile is the file with the credentials, "" where there is none. Its order
// is that of authn.DefaultKeychain, which does not tell which one it took.
func credentialsFile() string {
	home, _ := os.UserHomeDir() // "" is none
	docker := filepath.Join(home, ".docker")
	setting := os.Getenv("DOCKER_CONFIG")
	if home != "" && isFile(filepath.Join(docker, "config.json")) || setting != "" && isFile(filepath.Join(setting, "config.json")) {
		if setting != "" {
			docker = setting // it counts, even where there is no file in it
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

// below is podman's file in a folder.
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
