package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh"
)

// release matches a version of jobmesh.
const release = `[0-9]+\.[0-9]+\.[0-9]+(?:-[a-z]+\.[0-9]+)?(?:\+[a-z]+\.[0-9]+)?`

// named matches the version where a text names it in one of these ways:
//
//	jobmesh-wrap:1.2.3  jobmesh-1.2.3.tgz  jobmesh@v1.2.3  chart jobmesh 1.2.3
//	jobmesh_1.2.3_linux_amd64.tar.gz  releases/download/v1.2.3  VERSION: "1.2.3"
//	layout:1.2.3  rev: v1.2.3  git checkout v1.2.3  --version 1.2.3
//	jobmesh.dev/injected: | and, in the next line of a diff, 1.2.3
//	"version": "1.2.3"  "tags": [ and, in the next line, "1.2.3"
//	name: jobmesh, and in the same or the next line version: 1.2.3
var named = func() *regexp.Regexp {
	const ours = `(?:jobmesh(?:-[a-z]+)*|cronjobs)`
	return regexp.MustCompile(`((?:\b` + ours + `(?::|-|_| |@v)|\b(?:linkerd-await|layout|oci):|` +
		`\bname: ` + ours + `(?:,|\n(?: *alias: \w+\n)?) *version: |injected: \|\n\+ *|"version": "|"tags": \[\n *"|\brev: v|\bdownload/v|\bVERSION: "|\bcheckout v|--version ))` + release)
}()

// versions writes the version into a text that people write by hand, wherever it is
// named in one of the ways above.
func versions(path string) output {
	return output{path, func(old []byte) ([]byte, error) {
		return named.ReplaceAll(old, []byte("${1}"+jobmesh.Version)), nil
	}}
}

// versionKeys writes the keys of a YAML file, which stand at its left edge, once each.
func versionKeys(path string, keys ...string) output {
	return output{path, func(old []byte) ([]byte, error) {
		for _, key := range keys {
			line := regexp.MustCompile(`(?m)^` + key + `: .*$`)
			if n := len(line.FindAll(old, -1)); n != 1 {
				return nil, fmt.Errorf("has %d lines %q, not one", n, key+":")
			}
			old = line.ReplaceAll(old, []byte(key+": "+jobmesh.Version+" # written by make generate from VERSION"))
		}
		return old, nil
	}}
}

// versioned are the outputs in which the version is all that is derived.
func versioned() []output {
	outputs := []output{
		whole(chart+"/templates/_version.tpl", "VERSION", versionTemplate),
		versionKeys(chart+"/Chart.yaml", "version", "appVersion"),
		versionKeys("plugins/helm/plugin.yaml", "version"),
	}
	for _, path := range glob("charts/*/Chart.yaml") {
		outputs = append(outputs, versionKeys(path, "version", "appVersion"))
	}
	for _, path := range glob(
		"*.md", "docs/*.md", chart+"/*.md", "charts/*/*.md", "plugins/*/*.md", "action.yml", chart+"/templates/*.tpl",
		"charts/*/Chart.yaml", "charts/examples/*/Chart.yaml", "tests/chart/Chart.yaml",
		"tests/chart/tests/*.yaml", "charts/examples/*/tests/*.yaml",
	) {
		if path != "CHANGELOG.md" {
			outputs = append(outputs, versions(path))
		}
	}
	return outputs
}

// versionTemplate is the template that tells the version.
func versionTemplate() ([]byte, error) {
	return []byte(strings.ReplaceAll(`{{/*
Version of these templates, which is also the default tag of the image.

Usage:
{{ include "jobmesh.version" $ }}

Params:
  CONTEXT  Any  Not used

Prints:
  VERSION

Errors: none.
*/}}
{{- define "jobmesh.version" -}}
VERSION
{{- end -}}
`, "VERSION", jobmesh.Version)), nil
}

// glob returns the files that match, by hand or by make generate, in order.
func glob(patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		files, _ := filepath.Glob(pattern) // fails only for a pattern that is malformed
		for _, file := range files {
			all = append(all, filepath.ToSlash(file))
		}
	}
	return slices.DeleteFunc(all, isGenerated)
}

// isGenerated reports whether all of a file is generated.
func isGenerated(path string) bool {
	text, err := os.ReadFile(path)
	first, _, _ := strings.Cut(string(text), "\n")
	return err == nil && strings.Contains(first, "Written by `make generate`")
}
