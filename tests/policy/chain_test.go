// Package policy runs the policies of charts/policy in the admission chain of the API server: its plugins, its CEL
// compiler and its patcher, without a cluster. It needs bin/helm3 (ci/tools/build).
//
// A function plays the webhook of a mesh: it changes the pod at the point where the chain calls webhooks. The API
// server sets defaults before and after admission; these tests do not.
package policy

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

// documentStart separates YAML documents.
const documentStart = "\n---\n"

// packed is a copy of the chart, because Helm puts the library chart into its folder.
var packed string

func TestMain(m *testing.M) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // the API server's own log is not wanted
	dir, err := os.MkdirTemp("", "jobmesh-policy-")
	if err == nil {
		err = pack(dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func pack(dir string) error {
	for _, folder := range []string{"charts/policy", "library-chart"} {
		if err := os.CopyFS(filepath.Join(dir, filepath.FromSlash(folder)), os.DirFS("../../"+folder)); err != nil {
			return err
		}
	}
	packed = filepath.Join(dir, "charts", "policy")
	return exec.Command(helm(), "dependency", "update", "--skip-refresh", packed).Run()
}

func helm() string {
	if program := os.Getenv("JOBMESH_HELM3"); program != "" {
		return program
	}
	return filepath.Join("..", "..", "bin", "helm3")
}

// printed returns what the chart prints. It sets failurePolicy to Fail, so that a mistake in an expression cannot go
// unnoticed.
func printed(t testing.TB, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(helm(), append([]string{"template", "jobmesh", packed, "--set", "failurePolicy=Fail"}, args...)...).Output()
	if failed, ok := err.(*exec.ExitError); ok {
		require.Fail(t, string(failed.Stderr))
	}
	require.NoError(t, err)
	return out
}

// rendered returns the objects that the chart prints.
func rendered(t testing.TB, args ...string) []runtime.Object {
	t.Helper()
	var all []runtime.Object
	for _, document := range strings.Split("\n"+string(printed(t, args...)), documentStart) {
		if strings.TrimSpace(document) == "" {
			continue
		}
		json, err := yaml.YAMLToJSON([]byte(document))
		require.NoError(t, err)
		if string(json) == "null" {
			continue
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(json, nil, nil)
		require.NoError(t, err, document)
		all = append(all, defaulted(object))
	}
	return all
}

// defaulted sets the defaults that the API server would set.
func defaulted(object runtime.Object) runtime.Object {
	every := func(r *admissionv1.MatchResources) {
		if r.MatchPolicy == nil {
			r.MatchPolicy = new(admissionv1.Equivalent)
		}
		if r.NamespaceSelector == nil {
			r.NamespaceSelector = &metav1.LabelSelector{}
		}
		if r.ObjectSelector == nil {
			r.ObjectSelector = &metav1.LabelSelector{}
		}
	}
	switch o := object.(type) {
	case *admissionv1.MutatingAdmissionPolicy:
		every(o.Spec.MatchConstraints)
	case *admissionv1.ValidatingAdmissionPolicy:
		every(o.Spec.MatchConstraints)
	case *admissionv1.MutatingAdmissionPolicyBinding:
		every(o.Spec.MatchResources)
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		every(o.Spec.MatchResources)
	}
	return object
}

// named returns the objects whose names have this suffix.
func named(all []runtime.Object, end string) []runtime.Object {
	var some []runtime.Object
	for _, object := range all {
		accessor, err := meta.Accessor(object)
		if err == nil && strings.HasSuffix(accessor.GetName(), end) {
			some = append(some, object)
		}
	}
	return some
}

// namespaces are a namespace that the policies apply to, and one that they do not apply to.
var namespaces = []runtime.Object{
	&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "in", Labels: map[string]string{"jobmesh.dev/inject": "enabled"}}},
	&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "out"}},
}

// A client is the fake client of client-go with the OpenAPI schemas of a real API server. Clientset is embedded as its
// own type, because informers find out from that type how the client can be watched.
type client struct{ *fake.Clientset }

func (c client) Discovery() discovery.DiscoveryInterfaces { return described{c.Clientset.Discovery()} }

type described struct{ discovery.DiscoveryInterfaces }

func (described) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

// A plugin is an admission plugin, with all inputs that the API server gives to it.
type plugin interface {
	admission.Interface
	initializer.WantsExternalKubeInformerFactory
	initializer.WantsExternalKubeClientSet
	initializer.WantsRESTMapper
	initializer.WantsDynamicClient
	initializer.WantsDrainedNotification
	initializer.WantsUnconditionalAuthorizer
	admission.InitializationValidator
}

// ready starts a plugin with these objects.
func ready(t testing.TB, p plugin, objects []runtime.Object) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c := client{fake.NewClientset(slices.Concat(namespaces, objects)...)}
	factory := informers.NewSharedInformerFactory(c, 0)
	p.SetExternalKubeClientSet(c)
	p.SetExternalKubeInformerFactory(factory)
	p.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	p.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(scheme.Scheme))
	p.SetDrainedNotification(ctx.Done())
	p.SetUnconditionalAuthorizer(nobody{})
	require.NoError(t, p.ValidateInitialization())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
}

func mutator(t testing.TB, objects []runtime.Object) admission.Interface {
	t.Helper()
	p, err := mutating.NewPlugin(nil)
	require.NoError(t, err)
	p.SetEnabled(true) // the feature gate of the plugin does the same
	ready(t, p, objects)
	return p
}

func validator(t testing.TB, objects []runtime.Object) *validating.Plugin {
	t.Helper()
	p, err := validating.NewPlugin(nil)
	require.NoError(t, err)
	ready(t, p, objects)
	return p
}

// A webhook changes a pod at the point where the chain calls mesh webhooks. It returns whether it has changed the pod.
type webhook func(*corev1.Pod) bool

func (webhook) Handles(o admission.Operation) bool { return o == admission.Create }

func (w webhook) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if w(a.GetObject().(*corev1.Pod)) {
		a.GetReinvocationContext().SetShouldReinvoke()
	}
	return nil
}

// A chain admits pods: it runs the policies, then the webhook, and then all of them once more if the webhook has
// changed the pod.
type chain []admission.Interface

// policies returns a chain of policies in the given order. In an API server their order is random.
func policies(t testing.TB, all []runtime.Object, names ...string) chain {
	t.Helper()
	var c chain
	for _, name := range names {
		c = append(c, mutator(t, named(all, name)))
	}
	return c
}

// admitted returns the pod as it leaves the chain, in a namespace.
func (c chain) admitted(t testing.TB, pod *corev1.Pod, namespace string, w webhook) *corev1.Pod {
	t.Helper()
	pod = pod.DeepCopy()
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.Namespace = namespace
	require.NoError(t, c.handler(t, w).Admit(context.Background(), attributes(pod, "Pod", "pods", ""), interfaces))
	return pod
}

// handler makes an admission handler of the plugins and a webhook after them, as the API server does.
func (c chain) handler(t testing.TB, w webhook) admission.MutationInterface {
	t.Helper()
	all := slices.Clone([]admission.Interface(c))
	if w != nil {
		all = append(all, w)
	}
	var plugins admission.Plugins
	var names []string
	for i, p := range all {
		names = append(names, fmt.Sprint(i))
		plugins.Register(names[i], func(io.Reader) (admission.Interface, error) { return p, nil })
	}
	handler, err := plugins.NewFromPlugins(names, nothing{}, nothing{}, nil)
	require.NoError(t, err)
	return handler.(admission.MutationInterface)
}

// nothing is an empty configuration: the plugins are configured already.
type nothing struct{}

func (nothing) ConfigFor(string) (io.Reader, error) { return nil, nil }
func (nothing) Initialize(admission.Interface)      {}

var interfaces = admission.NewObjectInterfacesFromScheme(scheme.Scheme)

func attributes(object runtime.Object, kind, resource, group string) admission.Attributes {
	accessor, _ := meta.Accessor(object)
	return admission.NewAttributesRecord(object, nil, schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind},
		accessor.GetNamespace(), accessor.GetName(), schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource},
		"", admission.Create, &metav1.CreateOptions{}, false, nil)
}
