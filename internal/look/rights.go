package look

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
)

// A Right is one permission that a verb needs in a cluster.
type Right struct {
	Group     string
	Resources []string
	Verbs     []string
	// For says what the right is for, or what is lost without it.
	For string
}

// Rights are the rights of each verb that talks to a cluster. A verb fails without the first ones;
// without the others it reports less.
var Rights = map[string][]Right{
	"why": {
		{"batch", []string{"jobs", "cronjobs"}, []string{"get", "list"}, "what is asked about, and its runs"},
		{"", []string{"pods"}, []string{"get", "list"}, "what the containers do"},
		{"", []string{"events"}, []string{"list"}, "why a Job has no pod"},
		{"", []string{"nodes"}, []string{"list"}, "which node is too old for native sidecars"},
		{"", []string{"namespaces"}, []string{"get"}, "whether a mesh or jobmesh-policy is on there"},
		{ofServer.Group, []string{ofServer.Plural()}, []string{"list"}, "whether jobmesh-policy is there, where the namespace has its label"},
		{ofKyverno.Group, []string{ofKyverno.Plural()}, []string{"list"}, "whether Kyverno applies jobmesh-policy"},
	},
	"lint": {
		{"batch", []string{"jobs", "cronjobs"}, []string{"list"}, "templates"},
		{"", []string{"pods"}, []string{"list", "watch"}, "what is stuck, and which meshes there are; watch lets the server stream them"},
		{"", []string{"nodes"}, []string{"list"}, "the oldest kubelet"},
		{"", []string{"namespaces"}, []string{"list"}, "in which of them a mesh or jobmesh-policy is on"},
		{"", []string{"resourcequotas"}, []string{"list"}, "quotas that want what a container does not say"},
		{ofServer.Group, []string{ofServer.Plural()}, []string{"list"}, "whether jobmesh-policy is there, where a namespace has its label"},
		{ofKyverno.Group, []string{ofKyverno.Plural()}, []string{"list"}, "whether Kyverno applies jobmesh-policy"},
	},
	"rescue": {
		{"", []string{"pods"}, []string{"get", "list"}, "what is stuck"},
		{"", []string{"pods/portforward"}, []string{"create"}, "the stop request; the role edit has it"},
		{"batch", []string{"jobs", "cronjobs"}, []string{"get", "list"}, "names of Jobs and CronJobs"},
		{"", []string{"nodes"}, []string{"list"}, "whether the kubelet of a node starts a container again by a rule of its own"},
	},
}

// RescueVia are the further rights of rescue for each way to a container.
var RescueVia = map[string]Right{
	"exec":      {"", []string{"pods/exec"}, []string{"create"}, "--via exec"},
	"ephemeral": {"", []string{"pods/ephemeralcontainers"}, []string{"update"}, "--via ephemeral; the roles edit and admin do not have it"},
}

// Verbs returns the verbs that talk to a cluster.
func Verbs() []string { return []string{"why", "lint", "rescue"} }

// RoleOf returns the cluster role with these rights.
func RoleOf(verb string, rights []Right) rbacv1.ClusterRole {
	role := rbacv1.ClusterRole{}
	role.APIVersion, role.Kind, role.Name = rbacv1.SchemeGroupVersion.String(), "ClusterRole", "jobmesh-"+verb
	for _, r := range rights {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: r.Resources, Verbs: r.Verbs})
	}
	return role
}

// Custom returns the rights to kinds of other projects, which a verb reads if a cluster has them.
func Custom(verb string) []Right {
	var resources []cluster.Resource
	does := []string{"get", "list"} // list is needed for the kinds between these objects and their pods
	switch verb {
	case "why", "rescue":
		for _, row := range Judged() {
			if !builtIn(row) {
				resources = append(resources, cluster.Resource{Group: row.Group, Kind: row.Kind})
			}
		}
	case "lint":
		does, resources = []string{"list"}, custom()
	}
	var rights []Right
	for _, r := range resources {
		if i := slices.IndexFunc(rights, func(known Right) bool { return known.Group == r.Group }); i >= 0 {
			rights[i].Resources = append(rights[i].Resources, r.Plural())
			continue
		}
		rights = append(rights, Right{r.Group, []string{r.Plural()}, does, "the kinds of " + r.Group})
	}
	return rights
}
