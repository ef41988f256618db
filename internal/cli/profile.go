package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/policy"
)

// profileOptions describe the cluster that lint judges for.
type profileOptions struct {
	mesh, meshVersion, native, kubeVersion, minKubelet, declared, postRenderer, policy string
	config, lock                                                                       string
}

// declaredKey is the key for the features that nodes declare, and noFeature is its value where
// they declare none of those that matter.
const declaredKey, noFeature = "declaredFeatures", "none"

// policyKey names the namespaces in which jobmesh-policy changes pods.
const policyKey = "policy"

// featureName matches the name of a feature.
var featureName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// A profileKey is a key of jobmesh.yaml with the flag of the same meaning.
type profileKey struct{ key, flag string }

var profileKeys = []profileKey{
	{"mesh", "mesh"}, {"meshVersion", "mesh-version"}, {"native", "native"}, {"kubeVersion", "kube-version"},
	{"minKubelet", "min-kubelet"}, {declaredKey, "declared-features"}, {"postRenderer", "post-renderer"}, {policyKey, "policy"}, {"failOn", "fail-on"},
}

func (o *profileOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.mesh, "mesh", "", "mesh that pods are in unless they opt out: "+strings.Join(lint.Meshes(), ", "))
	flags.StringVar(&o.meshVersion, "mesh-version", "", "version of the mesh, such as 2.19; without --mesh the version of the mesh that the manifests name")
	flags.StringVar(&o.native, "native", "auto", "setting of the mesh for native sidecars: "+strings.Join(native.Settings(), ", "))
	flags.StringVar(&o.kubeVersion, "kube-version", "", "version of Kubernetes, such as 1.33")
	flags.StringVar(&o.minKubelet, "min-kubelet", "", "version of the oldest kubelet of the cluster (default the oldest that --kube-version allows)")
	flags.StringVar(&o.declared, "declared-features", "", "`LIST` of the features that nodes declare, with commas, or "+noFeature+" (default what the versions have)")
	flags.StringVar(&o.postRenderer, "post-renderer", "", "Helm that runs jobmesh inject as its post-renderer: "+strings.Join(lint.PostRenderers(), ", "))
	flags.StringVar(&o.policy, "policy", "labelled", "`NS` whose Jobs are judged as jobmesh-policy changes their pods: "+strings.Join(policy.Words(), ", ")+", or names of namespaces; --policy alone is all")
	flags.Lookup("policy").NoOptDefVal = "all"
	flags.StringVar(&o.config, "config", "", "file with these settings (default "+manifest.SettingsFile+", if it exists)")
	flags.StringVar(&o.lock, "lock", "", "file with what images run, from jobmesh resolve (default "+lockfile.FileName+", if it exists)")
	complete(cmd, "mesh", lint.Meshes())
	complete(cmd, "native", native.Settings())
	complete(cmd, "post-renderer", lint.PostRenderers())
	complete(cmd, "policy", policy.Words())
}

// A profile is the cluster that lint judges for, and what it does with the verdict.
type profile struct {
	lint.Profile
	policy policy.Scope
	failOn lint.Severity
}

// load makes the profile of the flags, the configuration of a function, and the settings file.
// Flags win over the function, and the function wins over the file.
func (o profileOptions) load(failOn string, changed func(string) bool, function map[string]string) (profile, error) {
	var p profile
	var problems, hints []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	values := map[string]*string{
		"mesh": &o.mesh, "meshVersion": &o.meshVersion, "native": &o.native, "kubeVersion": &o.kubeVersion,
		"minKubelet": &o.minKubelet, declaredKey: &o.declared, "postRenderer": &o.postRenderer, policyKey: &o.policy, "failOn": &failOn,
	}
	file, err := readSettings(o.config)
	if err != nil {
		return p, err
	}
	var keys []string
	names := map[string]string{} // the name of each setting, as its source spells it
	for _, s := range profileKeys {
		keys = append(keys, s.key)
		names[s.flag] = "--" + s.flag
		for _, from := range []source{{file.name, file.lint}, {"functionConfig", function}} {
			if v, ok := from.settings[s.key]; ok && !changed(s.flag) {
				*values[s.key], names[s.flag] = v, from.name+": "+s.key
			}
		}
	}
	for _, from := range []source{{file.name, file.lint}, {"functionConfig", function}} {
		for _, key := range slices.Sorted(maps.Keys(from.settings)) {
			if !slices.Contains(keys, key) {
				keys = append(keys, "helpers", "image")
				return p, fault.New(fault.Usage, fmt.Errorf("%s: key %q is unknown", from.name, key), meant("", key, keys, "the keys are "+strings.Join(keys, ", "))...)
			}
		}
	}
	oneOf := func(flag, value string, words []string) {
		if !slices.Contains(words, value) {
			wrong("%s %q is unknown", names[flag], value)
			hints = append(hints, meant("", value, words, names[flag]+" is one of "+strings.Join(words, ", "))...)
		}
	}
	version := func(flag, text string) (v mesh.Version) {
		if text == "" {
			return v
		}
		v, err := mesh.ParseVersion(text)
		if err != nil {
			wrong("%s %v", names[flag], err)
		}
		return v
	}
	var platform mesh.Platform
	o.mesh, platform, err = onPlatform(o.mesh)
	if err != nil {
		wrong("%s %v", names["mesh"], err)
		hints = append(hints, fault.Hints(err)...)
	} else if o.mesh != "" {
		oneOf("mesh", o.mesh, native.Meshes())
	}
	if o.postRenderer != "" {
		oneOf("post-renderer", o.postRenderer, lint.PostRenderers())
	}
	oneOf("native", o.native, native.Settings())
	oneOf("fail-on", failOn, lint.Severities())
	p.Mesh, p.PostRenderer = o.mesh, o.postRenderer
	p.Kubernetes = version("kube-version", o.kubeVersion)
	p.Installation = native.Installation{
		Platform: platform, Version: version("mesh-version", o.meshVersion), Native: native.Setting(o.native), MinKubelet: version("min-kubelet", o.minKubelet),
	}
	for name := range strings.SplitSeq(o.declared, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "" && o.declared == "", name == noFeature:
		case !featureName.MatchString(name):
			wrong("%s %q is not the name of a feature", names["declared-features"], name)
			hints = append(hints, "kubectl get nodes -o yaml has them in status.declaredFeatures, such as "+native.RestartAll.Gate)
		default:
			p.Declared = append(p.Declared, name)
		}
	}
	p.DeclaredKnown = o.declared != ""
	if at, said := platform.Version, p.Installation.Version; at.Known() && said.Known() && at != said {
		wrong("%s %s is not what %s installs, which is %s", names["mesh-version"], o.meshVersion, platform.Title, at)
		hints = append(hints, "leave "+names["mesh-version"]+" out, or name the mesh alone: --mesh "+o.mesh)
	}
	p.policy, err = policy.ParseScope(o.policy)
	switch since := native.Policies; {
	case err != nil:
		wrong("%s %v", names[policyKey], err)
		hints = append(hints, "as in --policy=shop,batch")
	case p.policy.Said() && p.Kubernetes.Before(since.Major, since.Minor):
		wrong("%s %s: Kubernetes %s has no mutating admission policies, which came with %s", names[policyKey], o.policy, p.Kubernetes, since)
		hints = append(hints, "leave "+names[policyKey]+" out: the manifests are judged as they are written", "jobmesh inject, and the library chart, need nothing in the cluster")
	}
	if len(problems) > 0 {
		return p, fault.New(fault.Usage, errors.New(strings.Join(problems, "; ")), hints...)
	}
	p.Helpers = file.helpers
	p.Lock, err = o.readLock()
	p.failOn = lint.Severity(failOn)
	return p, err
}

// onPlatform splits a name such as istio@aks-new into the mesh and the platform that manages
// it.
func onPlatform(text string) (name string, platform mesh.Platform, err error) {
	name, on, managed := strings.Cut(text, "@")
	m, known := mesh.ByName(name)
	if !managed || !known {
		return name, platform, nil
	}
	if platform, known = m.PlatformOf(on); known {
		return name, platform, nil
	}
	var names []string
	for _, p := range m.Platforms {
		names = append(names, name+"@"+p.Name)
	}
	hint := name + " has no platforms; use --mesh " + name
	if names != nil {
		hint = "--mesh is one of " + strings.Join(names, ", ") + ", or " + name + " alone"
	}
	return name, platform, fault.New(fault.Usage, fmt.Errorf("%q names an unknown platform", text), hint)
}

// A source is one place that settings come from.
type source struct {
	name     string
	settings map[string]string
}

func (o profileOptions) readLock() (lockfile.Lock, error) {
	name := o.lock
	if name == "" {
		name = lockfile.FileName
	} else if _, err := os.Stat(name); err != nil {
		return lockfile.Lock{}, fault.New(fault.LocalIO, err)
	}
	lock, err := lockfile.Load(name)
	if err != nil {
		return lockfile.Lock{}, err
	}
	return *lock, nil
}
