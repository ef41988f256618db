// Package apiserver is a server that speaks the Kubernetes API over objects that a test defines: enough of the API for
// clients that read. It is not a cluster: no pod runs in it, and writes are kept or refused as the test says.
package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// A Server is an API server with its objects.
type Server struct {
	*httptest.Server
	// Denied are resources that nobody may read, such as "nodes".
	Denied []string
	// Missing are resources that the server does not have, although others of its version do.
	Missing []string
	// Status is the status code of every answer; 0 means the normal answer.
	Status int
	// Hangs makes every request wait until the client has disconnected.
	Hangs bool
	// Off is the offset of the server's clock.
	Off time.Duration
	// Proxies has the answer of each port in a pod: a status code, or Silent, Gone or Deleted.
	Proxies map[string]int
	// Beside is the exit code of ephemeral containers that are added to a pod.
	Beside int
	// AfterStop, if it is not 0, becomes Status as soon as a proxy was asked to stop.
	AfterStop int
	// Leaves are the names of objects that are deleted once they have been shown, in a list or alone. In a stream they
	// are deleted before its list is complete.
	Leaves []string
	// Old is set for a server that only lists the names of its API groups, as servers before 1.27 do.
	Old bool

	mutex    sync.Mutex
	objects  []object
	requests []string
}

// These values replace a status code in Proxies.
const (
	// Silent accepts the request and never answers.
	Silent = 0
	// Gone means that the proxy has ended a moment ago, and its pod with it.
	Gone = -1
	// Deleted accepts the request, and then its pod is deleted.
	Deleted = -2
)

type object struct {
	apiVersion, resource, kind, namespace, name string
	content                                     map[string]any
}

// New starts a server. The caller closes it.
func New() *Server {
	s := &Server{}
	s.Server = httptest.NewServer(s)
	return s
}

// Load adds the objects of a YAML stream. In it, {{ago 5m}} stands for the time five minutes ago.
func (s *Server) Load(text string) error {
	for _, document := range strings.Split("\n"+text, "\n---") {
		var content map[string]any
		if err := yaml.Unmarshal([]byte(s.times(document)), &content); err != nil {
			return err
		}
		if len(content) > 0 {
			s.Add(content)
		}
	}
	return nil
}

func (s *Server) times(text string) string {
	for {
		before, rest, ok := strings.Cut(text, "{{ago ")
		if !ok {
			return text
		}
		age, after, _ := strings.Cut(rest, "}}")
		d, err := time.ParseDuration(strings.TrimSpace(age))
		if err != nil {
			panic(err) // the test has a mistake
		}
		text = before + time.Now().Add(s.Off-d).UTC().Format(time.RFC3339) + after
	}
}

// Add adds or replaces an object.
func (s *Server) Add(content map[string]any) {
	meta, _ := content["metadata"].(map[string]any)
	text := func(v any) string { t, _ := v.(string); return t }
	kind := text(content["kind"])
	plural, _ := apimeta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: kind})
	o := object{text(content["apiVersion"]), plural.Resource, kind, text(meta["namespace"]), text(meta["name"]), content}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.objects = slices.DeleteFunc(s.objects, func(other object) bool {
		return other.apiVersion == o.apiVersion && other.resource == o.resource && other.namespace == o.namespace && other.name == o.name
	})
	s.objects = append(s.objects, o)
}

// Requests returns the requests so far, such as "GET /api/v1/nodes".
func (s *Server) Requests() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.requests)
}

// Pod returns a pod as it is now, in JSON.
func (s *Server) Pod(namespace, name string) ([]byte, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	o := s.find(place{apiVersion: "v1", namespace: namespace, resource: "pods", name: name})
	if o == nil {
		return nil, fmt.Errorf("there is no pod %s/%s", namespace, name)
	}
	return json.Marshal(o.content)
}

// Kubeconfig writes a kubeconfig that leads to the server, with the namespace prod.
func (s *Server) Kubeconfig(dir string) (string, error) {
	file := filepath.Join(dir, "kubeconfig")
	return file, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test, namespace: prod}}]
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {token: secret-token}}]
`, s.URL), 0o600)
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	status := s.Status
	s.mutex.Unlock()
	if s.Hangs {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Date", time.Now().Add(s.Off).UTC().Format(http.TimeFormat))
	p := parse(r.URL.Path)
	switch {
	case status != 0:
		refuse(w, status, "", http.StatusText(status))
	case slices.Contains(s.Missing, p.resource):
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	case slices.Contains(s.Denied, p.resource):
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden,
			fmt.Sprintf("%s is forbidden: User \"test\" cannot list resource %q in API group \"\"", p.resource, p.resource))
	case p.sub == "portforward" && !slices.Contains(s.Denied, "pods/portforward"):
		s.forward(w, r, p)
	case p.sub != "" && slices.Contains(s.Denied, "pods/"+p.sub):
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, "pods is forbidden: User \"test\" cannot create resource \"pods/"+p.sub+"\"")
	case r.Method == http.MethodPut && p.sub == "ephemeralcontainers":
		s.addBeside(w, r, p)
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "nothing is written here")
	case r.URL.Path == "/version":
		answer(w, map[string]any{"gitVersion": "v1.37.2"})
	case p.resource == "":
		s.group(w, r)
	case p.name != "":
		s.one(w, p)
	default:
		s.list(w, r, p)
	}
}

// A place is the object or list that a URL names.
type place struct{ apiVersion, namespace, resource, name, sub string }

func parse(path string) place {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var p place
	switch {
	case parts[0] == "api" && len(parts) > 2:
		p.apiVersion, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		p.apiVersion, parts = parts[1]+"/"+parts[2], parts[3:]
	default:
		return p
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		p.namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	p.resource, p.name, p.sub = parts[0], parts[1], parts[2]
	return p
}

// group answers with the API groups of the objects, and with the kinds in them if the client asks for these.
func (s *Server) group(w http.ResponseWriter, r *http.Request) {
	var groups []metav1.APIGroup
	var kinds []apidiscovery.APIGroupDiscovery
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, o := range append(s.builtIn(), s.objects...) {
		name, version, ok := strings.Cut(o.apiVersion, "/")
		if !ok {
			continue
		}
		i := slices.IndexFunc(groups, func(g metav1.APIGroup) bool { return g.Name == name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, metav1.APIGroup{Name: name, PreferredVersion: metav1.GroupVersionForDiscovery{GroupVersion: o.apiVersion, Version: version}})
			kinds = append(kinds, apidiscovery.APIGroupDiscovery{
				ObjectMeta: metav1.ObjectMeta{Name: name}, Versions: []apidiscovery.APIVersionDiscovery{{Version: version}},
			})
		}
		of := &kinds[i].Versions[0]
		scope := apidiscovery.ScopeNamespace
		if o.namespace == "" {
			scope = apidiscovery.ScopeCluster
		}
		of.Resources = append(of.Resources, apidiscovery.APIResourceDiscovery{
			Resource: o.resource, ResponseKind: &metav1.GroupVersionKind{Kind: o.kind}, Scope: scope,
		})
	}
	switch {
	case r.URL.Path == "/apis" && strings.Contains(r.Header.Get("Accept"), "as=APIGroupDiscoveryList") && !s.Old:
		answer(w, apidiscovery.APIGroupDiscoveryList{Items: append([]apidiscovery.APIGroupDiscovery{}, kinds...)})
		return
	case r.URL.Path == "/apis":
		answer(w, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: groups})
		return
	}
	for _, g := range groups {
		if r.URL.Path == "/apis/"+g.Name {
			answer(w, g)
			return
		}
	}
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
}

// builtIn are kinds that a server has without an object of them.
func (s *Server) builtIn() []object {
	policies := object{apiVersion: "admissionregistration.k8s.io/v1", resource: "mutatingadmissionpolicies", kind: "MutatingAdmissionPolicy"}
	if slices.Contains(s.Missing, policies.resource) {
		return nil
	}
	return []object{policies}
}

// find returns the object at a place; nil if there is none. The caller holds the mutex.
func (s *Server) find(p place) *object {
	for i := range s.objects {
		if o := &s.objects[i]; o.apiVersion == p.apiVersion && o.resource == p.resource && o.namespace == p.namespace && o.name == p.name {
			return o
		}
	}
	return nil
}

func (s *Server) one(w http.ResponseWriter, p place) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if o := s.find(p); o != nil {
		answer(w, o.content)
		s.leave(p)
		return
	}
	refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", p.resource, p.name))
}

// kinds are the kinds of lists that may be empty, by resource.
var kinds = map[string]string{
	"mutatingadmissionpolicies": "MutatingAdmissionPolicy",
	"pods":                      "Pod", "jobs": "Job", "cronjobs": "CronJob", "nodes": "Node", "namespaces": "Namespace", "resourcequotas": "ResourceQuota", "events": "Event",
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, p place) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	items, kind := []any{}, kinds[p.resource]
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, o := range s.objects {
		if o.apiVersion != p.apiVersion || o.resource != p.resource || p.namespace != "" && o.namespace != p.namespace {
			continue
		}
		if selector.Matches(labelsOf(o.content)) && fields(r.URL.Query().Get("fieldSelector"), o.content) {
			items = append(items, o.content)
		}
		kind, _ = o.content["kind"].(string)
	}
	if kind == "" && !slices.ContainsFunc(s.objects, func(o object) bool { return o.apiVersion == p.apiVersion }) {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
		return
	}
	defer s.leave(p)
	if r.URL.Query().Get("watch") == "true" {
		s.stream(w, p, items)
		return
	}
	answer(w, map[string]any{"kind": kind + "List", "apiVersion": p.apiVersion, "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

// leave deletes the objects of Leaves that were just shown at a place. The caller holds the mutex.
func (s *Server) leave(p place) {
	s.objects = slices.DeleteFunc(s.objects, func(o object) bool {
		return slices.Contains(s.Leaves, o.name) && o.resource == p.resource && (p.name == "" || p.name == o.name)
	})
}

// stream sends a list as the API server does if the client asks for initial events.
func (s *Server) stream(w http.ResponseWriter, p place, items []any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	for _, item := range items {
		_ = encoder.Encode(map[string]any{"type": "ADDED", "object": item}) // the client may be gone
	}
	for _, o := range s.objects {
		if slices.Contains(s.Leaves, o.name) && o.resource == p.resource {
			_ = encoder.Encode(map[string]any{"type": "MODIFIED", "object": o.content})
			_ = encoder.Encode(map[string]any{"type": "DELETED", "object": o.content})
		}
	}
	_ = encoder.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
		"apiVersion": p.apiVersion, "kind": "Pod", "metadata": map[string]any{"annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"}},
	}})
}

func labelsOf(content map[string]any) labels.Set {
	set := labels.Set{}
	meta, _ := content["metadata"].(map[string]any)
	all, _ := meta["labels"].(map[string]any)
	for key, value := range all {
		set[key] = fmt.Sprint(value)
	}
	return set
}

// fields tells whether an object matches a field selector.
func fields(selector string, content map[string]any) bool {
	for _, part := range strings.FieldsFunc(selector, func(r rune) bool { return r == ',' }) {
		path, wanted, _ := strings.Cut(part, "=")
		not := strings.HasSuffix(path, "!")
		var at any = content
		for _, key := range strings.Split(strings.TrimSuffix(path, "!"), ".") {
			m, _ := at.(map[string]any)
			at = m[key]
		}
		if got, _ := at.(string); (got == wanted) == not {
			return false
		}
	}
	return true
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{ // the client may be gone
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
