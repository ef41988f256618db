package look

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
)

// The policies of the chart jobmesh-policy are of the kind ofServer or, with engine kyverno, of the
// kind ofKyverno. All of them have policyLabel.
var (
	ofServer  = cluster.Resource{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingAdmissionPolicy"}
	ofKyverno = cluster.Resource{Group: "policies.kyverno.io", Kind: "MutatingPolicy"}
)

const policyLabel = "app.kubernetes.io/name=" + lint.PolicyChart

// policiesOf says what applies jobmesh-policy in a cluster, for namespaces that ask for it, and
// which of its policies the API server has. server is the version of the API server, and kinds are
// its kinds; either may be unknown. It makes at most two requests, and none once more returns false.
func policiesOf(ctx context.Context, c *cluster.Cluster, server mesh.Version, kinds cluster.Kinds, more func() bool) (running.Engine, running.Installed, error) {
	both := running.Installed{Wrap: true, Nativize: true}
	old := server.Known() && server.Before(native.Policies.Major, native.Policies.Minor) ||
		kinds.Asked() && kinds.Version(ofServer.Group, ofServer.Kind) == ""
	if !old && !more() {
		return running.NotAsked, both, nil
	}
	if !old {
		found, err := c.Metadata(ctx, ofServer, "", policyLabel)
		switch {
		case cluster.IsDenied(err):
			return running.Presumed, both, nil
		case cluster.IsGone(err):
			old = true
		case err != nil:
			return running.NoEngine, both, err
		case len(found) > 0:
			return running.InAPIServer, installed(found), nil
		}
	}
	r := kinds.Resource(ofKyverno.Group, "", ofKyverno.Kind)
	if !kinds.Asked() {
		r.Version = "v1"
	}
	if r.Version != "" {
		if !more() {
			return running.NotAsked, both, nil
		}
		found, err := c.Metadata(ctx, r, "", policyLabel)
		switch {
		case cluster.IsDenied(err) && !kinds.Asked(): // there may be no Kyverno
			return running.NotAsked, both, nil
		case cluster.IsDenied(err), len(found) > 0:
			return running.InKyverno, both, nil // if anything applies the policies, it is Kyverno
		case err != nil && !cluster.IsGone(err):
			return running.NoEngine, both, err
		}
	}
	if old {
		return running.TooOld, both, nil
	}
	return running.NoEngine, both, nil
}

// installed tells which policies are among those of the chart, by the ends of their names.
func installed(policies []metav1.PartialObjectMetadata) running.Installed {
	has := func(end string) bool {
		return slices.ContainsFunc(policies, func(p metav1.PartialObjectMetadata) bool { return strings.HasSuffix(p.Name, end) })
	}
	return running.Installed{Wrap: has("-wrap"), Nativize: has("-nativize")}
}
