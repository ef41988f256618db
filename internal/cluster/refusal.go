package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// A refusal keeps the answer of a server that does not open a stream. The dialers of client-go
// return only its text, and a missing right must be told from other failures.
type refusal struct {
	mutex sync.Mutex
	err   error
}

// streaming returns the configuration for one stream, and the refusal that this stream will fill.
func (c *Cluster) streaming() (*rest.Config, *refusal) {
	config, r := rest.CopyConfig(c.config), &refusal{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &noting{r, next} })
	return config, r
}

// or returns the refusal if there was one, and otherwise err.
func (r *refusal) or(err error) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err == nil || r.err == nil {
		return err
	}
	return r.err
}

type noting struct {
	refusal *refusal
	next    http.RoundTripper
}

func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := n.next.RoundTrip(r)
	if err != nil || response.StatusCode < http.StatusBadRequest {
		return response, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mostSaid))
	if err != nil {
		return response, nil // whoever reads the body next gets the same error
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(text), response.Body}
	var status metav1.Status
	n.refusal.mutex.Lock()
	defer n.refusal.mutex.Unlock()
	if json.Unmarshal(text, &status) == nil && status.Status == metav1.StatusFailure {
		n.refusal.err = &apierrors.StatusError{ErrStatus: status}
	} else {
		n.refusal.err = apierrors.NewGenericServerResponse(response.StatusCode, r.Method, schema.GroupResource{Resource: "pods"}, "", string(text), 0, true)
	}
	return response, nil
}
