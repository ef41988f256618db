package look_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/look"
	"github.com/jobmesh/jobmesh/tests/apiserver"
)

// everything starts a server that has an object of every kind that a verb may read.
func everything(t *testing.T) (*apiserver.Server, *cluster.Cluster) {
	t.Helper()
	server := apiserver.New()
	t.Cleanup(server.Close)
	for _, k := range append(slices.Clone(kind.Table),
		kind.Kind{Group: "security.istio.io", Kind: "AuthorizationPolicy"}, kind.Kind{Group: "policy.linkerd.io", Kind: "AuthorizationPolicy"}) {
		version := "v1"
		if k.Group != "" {
			version = k.Group + "/v1"
		}
		server.Add(map[string]any{"apiVersion": version, "kind": k.Kind, "metadata": map[string]any{"name": "x", "namespace": "prod", "uid": k.Group + k.Kind}})
	}
	server.Add(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "prod", "labels": map[string]any{lint.PolicyKey: lint.PolicyOn}}})
	server.Add(map[string]any{"apiVersion": "policies.kyverno.io/v1", "kind": "MutatingPolicy", "metadata": map[string]any{"name": "x"}})
	config, err := server.Kubeconfig(t.TempDir())
	require.NoError(t, err)
	t.Setenv("KUBECONFIG", config)
	c, err := cluster.NewFlags().Connect()
	require.NoError(t, err)
	return server, c
}

// asked returns the resources of requests, such as batch/jobs. It leaves out the version and the
// kinds of the server, which every user may read.
func asked(requests []string) map[string]bool {
	found := map[string]bool{}
	for _, r := range requests {
		_, path, _ := strings.Cut(r, " ")
		parts := strings.Split(strings.Trim(path, "/"), "/")
		group := ""
		switch {
		case parts[0] == "api":
			parts = parts[2:]
		case parts[0] == "apis" && len(parts) > 3:
			group, parts = parts[1], parts[3:]
		default:
			continue
		}
		if parts[0] == "namespaces" && len(parts) > 2 {
			parts = parts[2:]
		}
		found[group+"/"+parts[0]] = true
	}
	return found
}

// allowed returns the resources of a role in the same form.
func allowed(verb string) map[string]bool {
	found := map[string]bool{}
	for _, r := range append(slices.Clone(look.Rights[verb]), look.Custom(verb)...) {
		for _, name := range r.Resources {
			found[r.Group+"/"+name] = true
		}
	}
	return found
}

// TestRightsOfLint checks that the role of `jobmesh rbac lint` has exactly what lint --cluster
// reads.
func TestRightsOfLint(t *testing.T) {
	server, c := everything(t)
	_, notes, err := look.Survey(context.Background(), c)
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Equal(t, allowed("lint"), asked(server.Requests()))
}

// TestRightsOfWhy checks that the role of why has all that why reads, for each kind that can be
// asked about.
func TestRightsOfWhy(t *testing.T) {
	server, c := everything(t)
	for _, word := range look.Words() {
		target, err := look.Parse(word + "/x")
		require.NoError(t, err)
		_, notes, err := look.Why(context.Background(), c, target)
		require.NoError(t, err, word)
		require.Empty(t, notes, word)
	}
	for resource := range asked(server.Requests()) {
		require.True(t, allowed("why")[resource], resource)
	}
}
