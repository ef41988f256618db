package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/native"
)

// A word is a label or an annotation that decides what a mesh does with a pod.
type word struct {
	key string
	// label is set where the mesh reads a label; annotation, where it reads one.
	label, annotation bool
	// read tells how a value is understood. Nil where any text will do.
	read reading
	// alike are other spellings that people use and no mesh reads.
	alike []string
}

// A reading checks a value: what it is taken for where it is none of the exact
// words, which are named too.
type reading func(value string) (takenFor, exact string, wrong bool)

// oneOf reads exact words and takes all others for the same.
func oneOf(takenFor string, exact ...string) reading {
	return func(value string) (string, string, bool) {
		return takenFor, orList(exact), !slices.Contains(exact, value)
	}
}

func orList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + w + `"`
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

// boolean reads what Go's ParseBool reads.
func boolean(takenFor string) reading {
	return func(value string) (string, string, bool) {
		_, err := strconv.ParseBool(value)
		return takenFor, orList([]string{"true", "false"}), err != nil
	}
}

// daprFlag reads Dapr's words for yes; any other is no.
func daprFlag(value string) (string, string, bool) {
	no := slices.Contains([]string{"", "false", "no", "off", "0", "n"}, strings.ToLower(value))
	return "off", orList([]string{"true", "false"}), !native.Truthy(value) && !no
}

// istioInject reads "true" and "false"; the webhook takes some other words for yes
// where the namespace is injected, and does not see them where it is not.
func istioInject(value string) (string, string, bool) {
	return "something that depends on the namespace", orList([]string{"true", "false"}), value != "true" && value != "false"
}

// words are those that decide most. Keys that are near one of them, and not one of
// those of others, are taken for mistakes.
var words = []word{
	{key: native.LinkerdInject, annotation: true, read: oneOf("no: the webhook injects on no word that it does not know", "enabled", "disabled", "ingress"),
		alike: []string{"linkerd.io/injected", "linkerd.io/injection", "linkerd.io/enabled", "config.linkerd.io/inject", "linkerd.io/sidecar-inject"}},
	{key: "config.linkerd.io/proxy-enable-native-sidecar", annotation: true, read: boolean("absent"),
		alike: []string{"linkerd.io/proxy-enable-native-sidecar", "config.linkerd.io/enable-native-sidecar", "config.linkerd.io/native-sidecar", "config.linkerd.io/proxy-native-sidecar"}},
	{key: "config.beta.linkerd.io/proxy-enable-native-sidecar", annotation: true, read: boolean("absent")},
	{key: "config.alpha.linkerd.io/proxy-enable-native-sidecar", annotation: true, read: boolean("absent")},
	{key: linkerdShutdown, annotation: true, read: oneOf("off", "enabled", "disabled"),
		alike: []string{"linkerd.io/proxy-admin-shutdown", "config.linkerd.io/admin-shutdown", "config.linkerd.io/proxy-enable-shutdown", "config.linkerd.io/enable-shutdown-endpoint"}},
	{key: linkerdWait, annotation: true,
		alike: []string{"config.linkerd.io/proxy-wait-before-exit-seconds", "config.beta.linkerd.io/proxy-wait-before-exit-seconds"}},
	{key: "config.linkerd.io/skip-outbound-ports", annotation: true},
	{key: native.IstioInject, annotation: true, label: true, read: istioInject,
		alike: []string{"sidecar.istio.io/injection", "sidecar.istio.io/injected", "istio.io/inject", native.IstioNamespace}},
	{key: native.IstioNative, annotation: true, read: oneOf("on: only the exact word false turns it off", "true", "false"),
		alike: []string{"sidecar.istio.io/native-side", "sidecar.istio.io/native-sidecar", "sidecar.istio.io/enableNativeSidecar", "sidecar.istio.io/nativeSidecars", "istio.io/nativeSidecar"}},
	{key: "traffic.sidecar.istio.io/excludeOutboundPorts", annotation: true, alike: []string{"sidecar.istio.io/excludeOutboundPorts"}},
	{key: "proxy.istio.io/config", annotation: true},
	{key: native.IstioDataplane, label: true, read: oneOf("absent", "ambient", "none")},
	{key: native.KumaInject, annotation: true, label: true, read: oneOf("no", "enabled", "disabled", "true", "false"),
		alike: []string{"kuma.io/sidecar-inject", "kuma.io/injection", "kuma.io/inject"}},
	{key: native.ConsulInject, annotation: true, read: boolean("an error: the webhook refuses the pod"),
		alike: []string{"consul.hashicorp.com/inject", "consul.hashicorp.com/connect-injection"}},
	{key: native.ConsulNative, annotation: true, read: boolean("absent")},
	{key: native.DaprEnabled, annotation: true, read: daprFlag, alike: []string{"dapr.io/enable", "dapr.io/inject"}},
	{key: native.DaprNative, annotation: true, read: daprFlag},
	{key: vaultInject, annotation: true, read: boolean("an error: the webhook refuses the pod"), alike: []string{"vault.hashicorp.com/inject"}},
	{key: vaultOnly, annotation: true, read: boolean("an error: the webhook refuses the pod")},
	{key: vaultQuit, annotation: true, read: boolean("an error: the webhook refuses the pod")},
}

// nearby are keys that the meshes read too, and that are near one of the words.
var nearby = []string{
	"config.linkerd.io/skip-inbound-ports", "traffic.sidecar.istio.io/excludeInboundPorts", "traffic.sidecar.istio.io/includeOutboundPorts",
	"traffic.sidecar.istio.io/includeInboundPorts", "vault.hashicorp.com/agent-pre-populate", "vault.hashicorp.com/agent-inject-status",
	"vault.hashicorp.com/agent-init-first", "sidecar.istio.io/status", "dapr.io/app-id",
}

// prefixes are those of labels and annotations that only a mesh reads, on pods and
// namespaces.
var prefixes = []string{
	"config.linkerd.io/", "config.alpha.linkerd.io/", "config.beta.linkerd.io/", "sidecar.istio.io/", "traffic.sidecar.istio.io/",
	"proxy.istio.io/", "inject.istio.io/", "traffic.kuma.io/", "vault.hashicorp.com/agent-", "dapr.io/",
	"consul.hashicorp.com/connect-", "consul.hashicorp.com/transparent-proxy", "consul.hashicorp.com/enable-",
}

func wordOf(key string) (word, bool) {
	i := slices.IndexFunc(words, func(w word) bool { return w.key == key })
	if i < 0 {
		return word{}, false
	}
	return words[i], true
}

// ofMesh tells whether a key is one that a mesh reads on a pod.
func ofMesh(key string) bool {
	_, known := wordOf(key)
	return known && key != native.IstioDataplane || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// meant returns the key that a misspelt one was meant to be.
func meant(key string) (string, bool) {
	domain, _, ok := strings.Cut(key, "/")
	if _, known := wordOf(key); known || slices.Contains(nearby, key) {
		return "", false
	}
	for _, w := range words {
		if slices.Contains(w.alike, key) {
			return w.key, true
		}
	}
	if !ok || !strings.Contains(domain, "linkerd") && !strings.Contains(domain, "istio") && !strings.Contains(domain, "kuma") &&
		!strings.Contains(domain, "consul") && !strings.Contains(domain, "dapr") && !strings.Contains(domain, "vault") {
		return "", false
	}
	for _, w := range words {
		if distance(key, w.key) <= 2 {
			return w.key, true
		}
	}
	return "", false
}
