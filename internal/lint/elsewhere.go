package lint

// NotByLint is a sentence for the pages of the rules in Elsewhere.
const NotByLint = "Manifests do not show this, so jobmesh lint does not report it for files. With --cluster it does, where the cluster shows it."

const kubelets = "kubectl get nodes -o custom-columns=NODE:.metadata.name,KUBELET:.status.nodeInfo.kubeletVersion"

// elsewhere are the rules for what no manifest shows. They check no manifest: their pages say
// who finds the problem, and how; internal/survey finds most of them in a cluster.
var elsewhere = []Rule{
	{
		ID: "JM103", Severity: Error,
		Title: "one old node turns Istio's native sidecars off",
		Why: `In its mode auto Istio makes the proxy a native sidecar only when the kubelet of every node is 1.33 or newer. One
node pool that was left behind brings the classic proxy back for the whole cluster, with no change to any manifest.`,
		Look:  "Find the oldest kubelet, and name it to lint, as in --mesh istio --min-kubelet 1.32.",
		Shell: kubelets,
		Fix:   `upgrade or drain that node; until then annotate the pod template with ` + rowOf("istio").Native.Words[0].Name + `: "true" and keep the Job off that node`,
		Links: []string{"https://github.com/istio/istio/pull/56428"},
	},
	{
		ID: "JM104", Severity: Error,
		Title: "this control plane never makes native sidecars",
		Why: `With ENABLE_NATIVE_SIDECARS=false, which a compatibility profile of 1.26 or older sets too, istiod injects a classic
proxy unless the pod asks for another.`,
		Look:  "Find the setting of istiod, and pass it to lint, as in --mesh istio --native false.",
		Shell: "kubectl -n istio-system get deployment istiod -o yaml | grep -A1 ENABLE_NATIVE_SIDECARS",
		Fix:   "change the setting of istiod, or " + wrapIt,
		Links: []string{"https://github.com/istio/istio/pull/56428"},
	},
	{
		ID: "JM110", Severity: Error,
		Title: "another webhook removes restartPolicy from the proxy",
		Why: `A webhook that was built for an older Kubernetes writes pods back without the field that it does not know. The proxy
is an ordinary init container then, which never ends, and the pod stays in Init.`,
		Look: "Look for a proxy among the init containers without Always behind its name, and for the webhooks.",
		Shell: `kubectl get pod POD -o jsonpath='{range .spec.initContainers[*]}{.name} {.restartPolicy}{"\n"}{end}'
kubectl get mutatingwebhookconfigurations`,
		Fix:   "upgrade the webhook, or leave these pods out of it",
		Links: []string{"https://github.com/istio/istio/issues/49054", "https://github.com/istio/istio/issues/52245"},
	},
	{
		ID: "JM113", Severity: Warning,
		Title: "a Job whose work has ended is kept active by its proxy",
		Why:   `The container has ended, and the proxy beside it has not: the Job is neither complete nor failed until somebody ends the proxy.`,
		Look:  "Look for work that has terminated beside a proxy that runs. The second line ends Istio's proxy, the others end Linkerd's where its shutdown endpoint is on.",
		Shell: `kubectl get pod POD -o jsonpath='{range .status.containerStatuses[*]}{.name} {.state}{"\n"}{end}'
kubectl exec POD -c istio-proxy -- pilot-agent request POST quitquitquit
kubectl port-forward POD 4191 &
curl -X ` + rowOf("linkerd").Stop,
		Fix:   "lint the manifest, which names the rule that applies",
		Links: []string{"https://github.com/istio/istio/issues/6324"},
	},
	{
		ID: "JM207", Severity: Warning,
		Title: "a kubelet that forgets a container beside a sidecar",
		Why: `Two faults of kubelets leave a Job waiting beside a native sidecar that has a startup probe. Up to 1.34 the kubelet
may stop to probe a sidecar that fails at its first start, in a pod with restartPolicy Never: it starts the sidecar again,
never learns that it is ready, and the work does not start. Patch releases of 1.33 and 1.34 from November 2025 on have the
fix; for 1.32 it was proposed and not merged. With restartPolicy OnFailure the kubelet goes on probing. After a restart of a
kubelet 1.35 without the fix, a container that has failed is not started again, and with restartPolicy OnFailure the Job
waits for it.`,
		Look:  "Look for a kubelet of 1.34 or older, or of an early 1.35.",
		Shell: kubelets,
		Fix:   "upgrade the nodes to a release that has the fix; until then delete the pod that waits, so that the Job makes a new one",
		Links: []string{
			"https://github.com/kubernetes/kubernetes/issues/132826", "https://github.com/kubernetes/kubernetes/pull/134802",
			"https://github.com/kubernetes/kubernetes/pull/137885",
		},
	},
	{
		ID: "JM503", Severity: Error,
		Title: "the platforms of the image disagree on the command",
		Why:   `One manifest is for nodes of every architecture, and a wrapper needs one command that is right on all.`,
		Look: "jobmesh resolve asks for all platforms, refuses such an image and says what each of them runs. Without an entry in " +
			"jobmesh.lock.yaml lint reports JM501.",
		Shell: "jobmesh resolve FILE",
		Fix:   "write `command`",
		Links: []string{"https://github.com/bank-vaults/bank-vaults/issues/1193"},
	},
	{
		ID: "JM506", Severity: Warning,
		Title: "a quota demands limits that the init container does not have",
		Why:   `Where a ResourceQuota counts requests or limits, each container needs them, and a pod without is refused.`,
		Look:  "Look for a quota on limits or requests.",
		Shell: "kubectl -n NAMESPACE describe resourcequota",
		Fix:   "set the chart's value resources, as in jobmesh inject --set resources.limits.memory=16Mi",
		Links: []string{"https://github.com/bank-vaults/bank-vaults/pull/717"},
	},
	{
		ID: "JM511", Severity: Info,
		Title: "the object is owned by another object",
		Why:   `What a controller made, it makes again: a change to a Job of a CronJob, JobSet or Workflow is gone with the next run.`,
		Look:  "Look for the owner of the object.",
		Shell: "kubectl get job JOB -o jsonpath='{.metadata.ownerReferences}'",
		Fix:   "change the owner",
		Links: []string{"https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/"},
	},
	{
		ID: "JM512", Severity: Info,
		Title: "the Job already exists",
		Why:   `The pod template of a Job cannot be changed, so that an injected manifest is refused where the Job exists.`,
		Look:  "The Job.",
		Shell: "kubectl get job JOB",
		Fix:   "kubectl replace --force -f FILE, which deletes the Job and creates it again, or wait for the next run",
		Links: []string{"https://github.com/argoproj/argo-cd/issues/27407"},
	},
	{
		ID: "JM606", Severity: Warning,
		Title: "the Job opts out although a policy requires an identity",
		Why:   `A Job that opts out of the mesh has no identity there. Where a policy wants one, its calls are refused.`,
		Look:  "Look for policies of Istio or Linkerd in the namespaces that the Job calls.",
		Shell: `kubectl get authorizationpolicies.security.istio.io,peerauthentications.security.istio.io -A
kubectl get authorizationpolicies.policy.linkerd.io,servers.policy.linkerd.io -A`,
		Fix:   "leave the Job in the mesh, and " + wrapIt,
		Links: []string{"https://github.com/istio/istio/issues/11659"},
	},
}
