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

// A refusal is the answer of a server that does not open a stream. The dialers of client-go
// return its text alone, and who may not is to be told from what does not work.
type refusal struct {
	mutex sync.Mutex
	err   error
}

// streaming is the configuration for one stream, with what notes why it is refused.
func (c *Cluster) streaming() (*rest.Config, *refusal) {
	config, r := rest.CopyConfig(c.config), &refusal{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &noting{r, next} })
	return config, r
}

// or is the refusal, where there was one, and the error otherwise.
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
		return response, nil // what reads it next says so
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
