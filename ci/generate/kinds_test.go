package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// expedition is a kind that does not exist: it has two crews that do the work, each under its
// name, and a base that serves them.
const expedition = `apiVersion: example.com/v1
kind: Expedition
metadata:
  name: pole
spec:
  base:
    spec:
      containers:
        - name: radio
          image: radio
          command: [/radio]
  crews:
    north:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: sledge
              image: sledge
              command: [/sledge]
    south:
      template:
        metadata:
          annotations:
            linkerd.io/inject: disabled
        spec:
          restartPolicy: Never
          containers:
            - name: sledge
              image: sledge
              command: [/sledge]
`

// A kind is one row. Once it is in the table, its pod templates are found in manifests, the
// chart and inject inject them, lint judges them, and the documentation lists them.
func TestAKindIsOneRow(t *testing.T) {
	known := kind.Table
	t.Cleanup(func() { kind.Table = known })
	kind.Table = append(slices.Clone(known),
		kind.Kind{Group: "example.com", Kind: "Expedition", Source: "nowhere", Templates: []kind.Template{
			{Path: []string{"spec", "crews", kind.Every, "template"}, Restart: kind.Restart{Policies: []string{"Never"}}, Inject: kind.Always},
			{Path: []string{"spec", "base"}, Pods: kind.Serve, Inject: kind.Never, Why: "somebody has to answer"},
		}},
		kind.Kind{Group: "example.com", Kind: "Lighthouse", Source: "nowhere", Templates: []kind.Template{
			{Path: []string{"spec", "lamp"}, Pods: kind.Serve, Sidecars: kind.Kubelet, Inject: kind.Named},
		}})

	d := manifest.Parse("f", 1, []byte(expedition))
	require.NoError(t, d.Err)
	o := d.Objects()[0]
	var paths []string
	for _, template := range o.PodTemplates() {
		paths = append(paths, template.Path.String())
	}
	require.Equal(t, []string{"spec.crews.north.template", "spec.crews.south.template", "spec.base"}, paths)

	var judged []string
	for _, f := range lint.New(lint.Profile{Mesh: "linkerd", Installation: native.Installation{Version: mesh.Version{Major: 2, Minor: 18}}}, nil).Check(o) {
		judged = append(judged, f.Rule.ID+" "+f.FieldPath)
	}
	require.Equal(t, []string{"JM101 spec.crews.north.template.spec.containers[0]"}, judged)

	in, err := inject.New(inject.Options{Library: libraryOfTheTable(t), Values: map[string]any{"jobmesh": map[string]any{"mesh": "linkerd"}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "expedition.yaml")
	require.NoError(t, os.WriteFile(file, []byte(expedition), 0o644))
	var out bytes.Buffer
	result, err := in.Run(context.Background(), []string{file}, nil, &out)
	require.NoError(t, err)
	require.Empty(t, result.Mistakes)
	var notes []string
	for _, note := range result.Notes {
		notes = append(notes, note.String())
	}
	require.Equal(t, []string{
		"Expedition/pole: left as it is: the pod template opts out by the annotation linkerd.io/inject: disabled (spec.crews.south)",
		"Expedition/pole: injected",
	}, notes)
	var commands []any
	injected := manifest.Parse("f", 1, out.Bytes()).Objects()[0]
	for _, template := range injected.PodTemplates() {
		containers := template.Containers()
		commands = append(commands, manifest.Text(manifest.Get(containers[len(containers)-1].Node, "command", 0)))
	}
	require.Equal(t, []any{"/jobmesh/jobmesh-wrap", "/sledge", "/radio"}, commands)

	for path, want := range map[string]string{
		"docs/kinds.md":                      "| Expedition (example.com) | `spec.base` | no | no: somebody has to answer |",
		"library-chart/values.yaml":          "\n# `Deployment`, `StatefulSet`, `DaemonSet` and `Lighthouse`.\n# <<< kinds\nkinds: []\n",
		"library-chart/values.schema.json":   `"kinds": {"type": "array", "items": {"enum": ["Deployment", "StatefulSet", "DaemonSet", "Lighthouse"]}}`,
		"library-chart/templates/_kinds.tpl": `["^(Deployment|StatefulSet|DaemonSet|Lighthouse)$", "Deployment, StatefulSet, DaemonSet or Lighthouse"]`,
	} {
		require.Contains(t, string(written(t, path)), want, path)
	}
}

// A missing template is a mistake where the kind requires it, and none where it is optional.
func TestOptionalTemplates(t *testing.T) {
	known := kind.Table
	t.Cleanup(func() { kind.Table = known })
	for _, optional := range []bool{false, true} {
		kind.Table = append(slices.Clone(known), kind.Kind{Group: "example.com", Kind: "Expedition", Templates: []kind.Template{
			{Path: []string{"spec", "crews", kind.Every, "template"}, Optional: optional, Inject: kind.Always},
		}})
		in, err := inject.New(inject.Options{Library: libraryOfTheTable(t)})
		require.NoError(t, err)
		result, err := in.Run(context.Background(), []string{"-"}, strings.NewReader("apiVersion: example.com/v1\nkind: Expedition\nspec: {}\n"), &bytes.Buffer{})
		require.NoError(t, err)
		if optional {
			require.Empty(t, result.Mistakes)
			continue
		}
		require.Len(t, result.Mistakes, 1)
		require.ErrorContains(t, result.Mistakes[0], "without spec.crews[].template.spec")
	}
}

// Every row has the sources and the reasons that it needs.
func TestKindsAreWhole(t *testing.T) {
	for _, k := range kind.Table {
		require.NotEmpty(t, k.Source, k.Kind)
		require.NotEmpty(t, k.Templates, k.Kind)
		for _, template := range k.Templates {
			require.Equal(t, template.Inject == kind.Never, template.Why != "", k.Kind)
			require.True(t, template.Restart.Default == "" || template.Restart.Policies == nil ||
				slices.Contains(template.Restart.Policies, template.Restart.Default), k.Kind)
			require.True(t, template.KillCommand == "" || template.Sidecars == kind.Controller, k.Kind)
		}
	}
}

// written returns the text that a file has to have.
func written(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../../" + path))
	require.NoError(t, err)
	found := false
	for _, o := range kindOutputs {
		if o.path == path {
			text, err = o.edit(text)
			require.NoError(t, err)
			found = true
		}
	}
	require.True(t, found, path)
	return text
}

// libraryOfTheTable returns the library chart with the templates that the table now gives.
func libraryOfTheTable(t *testing.T) fs.FS {
	t.Helper()
	library := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(jobmesh.LibraryChart, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(jobmesh.LibraryChart, path)
		library[path] = &fstest.MapFile{Data: content}
		return err
	}))
	library["library-chart/templates/_kinds.tpl"] = &fstest.MapFile{Data: written(t, "library-chart/templates/_kinds.tpl")}
	return library
}
