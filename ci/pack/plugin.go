package main

import (
	"errors"
	"os"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/openpgp"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// keyring is the file with the public key in the form that Helm reads.
const keyring = "jobmesh.gpg"

// pluginsOf packs the plugin of Helm with the program of each archive.
func pluginsOf(archives []archive, recipe image.Recipe) ([]plugin.Archive, error) {
	metadata, err := os.ReadFile("plugins/helm/plugin.yaml")
	if err != nil {
		return nil, err
	}
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	var packed []plugin.Archive
	for _, a := range archives {
		p, err := plugin.Pack(plugin.Source{
			Version: recipe.Version, Platform: a.platform, Metadata: metadata, Program: a.binary, License: license, Modified: recipe.Created.UTC(),
		})
		if err != nil {
			return nil, err
		}
		packed = append(packed, p)
	}
	return packed, nil
}

// signatures returns the provenance of the plugins, as Helm verifies it, and the keyring for
// it.
func (r release) signatures(key *signature.Key) (map[string][]byte, error) {
	signer, err := openpgp.Of(key)
	if err != nil {
		return nil, err
	}
	ring, err := signer.Keyring()
	files := map[string][]byte{keyring: ring}
	for _, p := range r.plugins {
		signed, signErr := signer.ClearSign(p.Statement(), r.recipe.Created)
		files[p.ProvenanceName()], err = signed, errors.Join(err, signErr)
	}
	return files, err
}
