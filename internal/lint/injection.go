package lint

import (
	"path"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/pages"
)

// These are the names of what injection adds to a pod, as in the library chart.
const (
	volumeName    = "jobmesh"
	imageVolume   = "jobmesh-image"
	stateVolume   = "jobmesh-state"
	podVolume     = "jobmesh-pod"
	mountPath     = "/jobmesh"
	wrapperBinary = "jobmesh-wrap"
)

// InstallName is the name of the init container that injection adds.
const InstallName = "jobmesh-install"

// injection has the rules for pods in which the injection that was asked for is not possible.
var injection = []Rule{
	{
		ID: "JM501", Severity: Error,
		Title:   "a container to wrap has no command",
		Message: "container `{container}` has no command, and nothing says what image {image} runs: it cannot be wrapped",
		Why: `A wrapper takes the place of the command, and setting a command cancels what the image would have run.
So what that is has to be known: from the manifest, or from the registry.`,
		Fix:   "write `command`, or run `jobmesh resolve`, which puts what the image runs into jobmesh.lock.yaml",
		Links: []string{"https://github.com/1Password/kubernetes-secrets-injector/issues/52", "https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/"},
		check: func(p *pod, r *reporter) {
			needed := slices.ContainsFunc(p.hangs, func(h hang) bool { return slices.Contains([]string{"JM101", "JM107", "JM108"}, h.rule) })
			for _, c := range p.work() {
				locked, _ := p.profile.Lock.Find(c.image)
				if c.command || c.Executor || p.template.Row.Fills != "" || len(locked.Entrypoint)+len(locked.Cmd) > 0 {
					continue
				}
				// Where one container is wrapped, the author has left the others alone on
				// purpose.
				if needed || p.installed() && !p.wrapped() {
					r.add(c.place, c.Name, "image", named(c.image))
				}
			}
		},
	},
	{
		ID: "JM502", Severity: Warning,
		Title:   "the lock file knows another digest of the image",
		Message: "image {image} is {digest} here and {locked} in jobmesh.lock.yaml: its entrypoint may have changed",
		Why: `The command of a container without one is taken from the lock file, which holds what the image had when it
was resolved. The image that will run is another one.`,
		Fix:   "run `jobmesh resolve` again",
		Links: []string{"https://github.com/bank-vaults/vault-secrets-webhook/issues/849"},
		check: func(p *pod, r *reporter) {
			for _, c := range p.work() {
				tagged, digest, pinned := strings.Cut(c.image, "@")
				if entry, ok := p.profile.Lock.Find(tagged); ok && pinned && entry.Digest != "" && entry.Digest != digest {
					r.add(c.place.get("image"), c.Name, "image", tagged, "digest", short(digest), "locked", short(entry.Digest))
				}
			}
		},
	},
	{
		ID: "JM504", Severity: Error,
		Title:   "a name or path that injection needs is taken",
		Message: "{what} is taken by something that is not jobmesh's",
		Why: `Injection adds a volume, a mount and an init container under names of its own. One that is there with another
content would be shadowed, or shadow ours, so injection refuses.`,
		Fix:   "rename it, or set the chart's value mountPath to another folder",
		Links: []string{pages.URL("chart.md")},
		check: taken,
	},
	{
		ID: "JM505", Severity: Warning,
		Title:   "the pod does not pass the namespace's restricted Pod Security",
		Message: "namespace `{namespace}` enforces \"restricted\" Pod Security, which this pod does not pass: {lacks}",
		Why: `The Job is created, and none of its pods: the API server refuses each of them, and the Job has neither pods
nor a failure until its deadline.`,
		Fix:   "set the fields that the message names",
		Links: []string{"https://kubernetes.io/docs/concepts/security/pod-security-standards/"},
		check: func(p *pod, r *reporter) {
			if p.namespace.Labels[podSecurityLabel] != "restricted" {
				return
			}
			if lacks := unrestricted(p); len(lacks) > 0 {
				r.add(p.spec, "", "namespace", p.object.Namespace, "lacks", strings.Join(lacks, "; "))
			}
		},
	},
	{
		ID: "JM507", Severity: Error,
		Title:   "an image volume on a Kubernetes release without them",
		Message: "volume `{volume}` is an image volume, which Kubernetes {version} does not mount",
		Why: `Image volumes are on by default since Kubernetes 1.35, and need containerd 2.1 or CRI-O 1.31. An older API
server drops the field or refuses the pod.`,
		Fix:   "use delivery: initContainer",
		Links: []string{"https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes", "https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/4639-oci-volume-source/kep.yaml"},
		check: func(p *pod, r *reporter) {
			oldest := p.profile.oldest()
			volumes := p.spec.get("volumes")
			for i := range manifest.Items(volumes.node) {
				v := volumes.get(i)
				if at := v.get("image"); at.node != nil && oldest.Before(native.ImageVolumes.Major, native.ImageVolumes.Minor) {
					if p.treatment.Wrapped && slices.Contains([]string{volumeName, imageVolume}, v.get("name").text()) {
						r = r.saying("{policy} brings the wrapper by an image volume, which Kubernetes {version} does not mount",
							"upgrade that kubelet, or keep these pods out of {policy} (annotation {optOut} on the pod template) and use `jobmesh inject`")
					}
					r.add(at, "", "volume", v.get("name").text(), "version", oldest.String(), "policy", byPolicy, "optOut", PolicyKey+": "+PolicyOff)
					return
				}
			}
		},
	},
	{
		ID: "JM508", Severity: Error,
		Title:   "the wrapper is mounted noexec",
		Message: "container `{container}` mounts {path} with noexec: the wrapper in it cannot be executed",
		Why: `bindMountOptions (alpha in Kubernetes 1.37) can forbid to execute files of a mount. The wrapper is such a file:
the container fails with "permission denied", or jobmesh-wrap install refuses to copy the wrapper there. A policy of the
cluster may add the option to the emptyDirs of every pod, and a node may keep them on a file system that is mounted so.
No manifest shows that, so lint cannot report it; the log of ` + InstallName + ` says then that the folder is mounted noexec.`,
		Fix:   "exempt this mount, or use delivery: imageVolume, to which the mount options do not apply",
		Links: []string{"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5855-noexec-emptyDir"},
		check: func(p *pod, r *reporter) {
			for _, c := range slices.Concat(p.inits, p.apps) {
				mounts := c.place.get("volumeMounts")
				for i := range manifest.Items(mounts.node) {
					m := mounts.get(i)
					where := m.get("mountPath").text()
					options := m.get("bindMountOptions")
					has := slices.ContainsFunc(manifest.Items(options.node), func(n *yamlNode) bool { return manifest.Text(n) == "noexec" })
					runs := len(c.argv) > 0 && path.Base(c.argv[0]) == wrapperBinary && path.Dir(c.argv[0]) == path.Clean(where)
					installs := c.Name == InstallName && m.get("name").text() == volumeName
					if has && (runs || installs) {
						r.add(options, c.Name, "path", where)
					}
				}
			}
		},
	},
	{
		ID: "JM509", Severity: Error,
		Title:   "Windows is not supported",
		Message: "this pod runs on Windows, where neither the proxies nor the wrapper do",
		Why:     `The meshes and the wrapper are made for Linux. A pod that is bound to Windows nodes is left alone by injection.`,
		Fix:     "keep the proxy out of this pod, and do not wrap it",
		Links:   []string{"https://kubernetes.io/docs/concepts/windows/intro/"},
		check: func(p *pod, r *reporter) {
			if !p.windows || !p.meshed() && !p.wrapped() && !p.installed() {
				return
			}
			at := p.spec.get("os", "name")
			if at.text() != "windows" {
				at = p.spec.get("nodeSelector", "kubernetes.io/os")
			}
			r.add(at, "")
		},
	},
	{
		ID: "JM510", Severity: Warning,
		Title:   "Helm 3 hands no hooks to a post-renderer",
		Message: "this {kind} is a Helm hook, which Helm 3 does not hand to a post-renderer: it will not be injected",
		Why: `Helm 3 gives only ordinary manifests to --post-renderer. Hooks go to the cluster as the chart has them, and
most Jobs that block a release are hooks.`,
		Fix:   "inject it in the chart (library chart), or use Helm 4, whose post-renderer plugins get hooks too",
		Links: []string{"https://github.com/helm/helm/issues/7891", "https://github.com/fluxcd/helm-controller/issues/1163"},
		check: func(p *pod, r *reporter) {
			at := p.root.get("metadata", "annotations", helmHook)
			if p.profile.PostRenderer == "helm3" && at.text() != "" && !p.wrapped() && !p.optedOut() {
				r.add(at, "", "kind", p.object.Kind)
			}
		},
	},
}

func named(image string) string {
	if image == "" {
		return "(none)"
	}
	return image
}

func short(digest string) string {
	if len(digest) > 19 {
		return digest[:19]
	}
	return digest
}

// installed reports whether the pod already has a volume or container of jobmesh.
func (p *pod) installed() bool {
	return slices.ContainsFunc(p.inits, func(c container) bool { return c.Name == InstallName && ourInstall(c) }) || p.wrapped()
}

// ourInstall recognises the init container that brings the wrapper.
func ourInstall(c container) bool {
	return slices.Contains(c.argv, "install") && !c.Native
}

// ownVolumes are the names of the volumes that injection adds, each with the field that is its
// source.
var ownVolumes = map[string]string{volumeName: "emptyDir", imageVolume: "image", stateVolume: "emptyDir", podVolume: "downwardAPI"}

// taken reports volumes, init containers and mounts that have the names or paths which
// injection needs.
func taken(p *pod, r *reporter) {
	foreign := map[string]bool{}
	volumes := p.spec.get("volumes")
	for i := range manifest.Items(volumes.node) {
		v := volumes.get(i)
		name := v.get("name").text()
		source, reserved := ownVolumes[name]
		foreign[name] = !reserved || v.get(source).node == nil
		if reserved && foreign[name] {
			r.add(v, "", "what", "volume `"+name+"`")
		}
	}
	for _, c := range p.inits {
		if c.Name == InstallName && !ourInstall(c) {
			r.add(c.place, c.Name, "what", "init container `"+c.Name+"`")
		}
	}
	for _, c := range p.apps {
		mounts := c.place.get("volumeMounts")
		for i := range manifest.Items(mounts.node) {
			m := mounts.get(i)
			where := path.Clean("/" + m.get("mountPath").text())
			name := m.get("name").text()
			if _, reserved := ownVolumes[name]; !reserved && foreign[name] && (where == mountPath || strings.HasPrefix(where, mountPath+"/") || where == "/") {
				r.add(m.get("mountPath"), c.Name, "what", "mount path "+where)
			}
		}
	}
}
