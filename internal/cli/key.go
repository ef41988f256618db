package cli

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/regular"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// signingKey reads the key of --sign-key, and returns nil where the flag is not given. For an
// encrypted key it takes the passphrase from COSIGN_PASSWORD, as cosign does, or asks for it.
func signingKey(streams Streams, path string) (*signature.Key, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readKey(path, "cosign generate-key-pair makes cosign.key and cosign.pub")
	if err != nil {
		return nil, err
	}
	if stat, err := os.Stat(path); err == nil && stat.Mode().Perm()&0o044 != 0 {
		_, _ = fmt.Fprintf(streams.Err, "warning: key %s can be read by others (mode %04o)\nhint: chmod 600 %s\n", path, stat.Mode().Perm(), path) // a failed warning does not fail the verb
	}
	return signature.ReadKey(path, text, func() ([]byte, error) { return passphrase(streams, path) })
}

// maxKey is the largest size of a key file, in bytes. No key is as long.
const maxKey = 64 << 10

// readKey reads the file of a key. Only where the file does not exist does a hint say how to
// make one: a key that cannot be read must not be replaced.
func readKey(path, make string) ([]byte, error) {
	text, err := regular.ReadAny(path, maxKey)
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.New(fault.LocalIO, err, make)
	case errors.Is(err, os.ErrPermission):
		return nil, fault.New(fault.LocalIO, err, "ls -l "+path+" shows who may read it")
	}
	return nil, fault.New(fault.LocalIO, err)
}

func passphrase(streams Streams, path string) ([]byte, error) {
	// A variable that is set but empty is a passphrase too: cosign makes keys with an empty
	// one.
	if value, ok := os.LookupEnv("COSIGN_PASSWORD"); ok {
		return []byte(value), nil
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, fault.New(fault.Auth, fmt.Errorf("key %s is encrypted, and there is no passphrase", path), "set COSIGN_PASSWORD to it")
	}
	_, _ = fmt.Fprintf(streams.Err, "passphrase of %s: ", path) // a failed prompt shows when the passphrase is read
	defer func() { _, _ = fmt.Fprintln(streams.Err) }()         // ends the line, because the terminal did not echo it
	return term.ReadPassword(terminal)
}

// publicKey reads the key of --key, and returns nil where the flag is not given.
func publicKey(path string) (*signature.PublicKey, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readKey(path, "cosign public-key --key cosign.key prints the public key")
	if err != nil {
		return nil, err
	}
	key, err := signature.ReadPublicKey(path, text)
	return &key, err
}
