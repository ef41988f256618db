// Admitted reads manifests from stdin and prints, as a line of JSON each, their objects as
// internal/policy says that the policies change their pods; -wrap=false and -nativize=false leave
// one out. It is for tests/policy, a module of
// its own, which compares that with the policies.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/policy"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "admitted:", err)
		os.Exit(1)
	}
}

func run() error {
	has := policy.Default()
	flag.BoolVar(&has.Wrap, "wrap", has.Wrap, "the policy wrap is installed")
	flag.BoolVar(&has.Nativize, "nativize", has.Nativize, "the policy nativize is installed")
	flag.Parse()
	var objects []manifest.Object
	err := manifest.Scan("stdin", os.Stdin, func(d *manifest.Document) error {
		objects = append(objects, d.Objects()...)
		return d.Err
	})
	if err != nil {
		return err
	}
	admitted, err := policy.New(library.LibraryChart, has).Admit(objects)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, a := range admitted {
		left := ""
		for _, t := range a.Templates {
			left = t.Left
		}
		if err := out.Encode(map[string]any{"object": policy.MeaningOf(a.Object.Node), "left": left}); err != nil {
			return err
		}
	}
	return nil
}
