package apiserver

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// forward answers a port-forward as kubelets without WebSockets do: over SPDY, with a data stream and an error stream.
// A port of Proxies has a proxy that answers a POST with its code; if the code is 200, the proxy ends, and its pod with
// it.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, p place) {
	if r.Method != http.MethodPost {
		http.Error(w, "no WebSockets here", http.StatusBadRequest)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
		return // Handshake has answered already
	}
	var streams sync.Mutex
	wrong := map[string]httpstream.Stream{}
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, replied <-chan struct{}) error {
		id := stream.Headers().Get(corev1.PortForwardRequestIDHeader)
		if stream.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
			streams.Lock()
			wrong[id] = stream
			streams.Unlock()
			return nil
		}
		streams.Lock()
		said := wrong[id]
		streams.Unlock()
		go func() {
			<-replied
			s.proxy(stream, said, p)
		}()
		return nil
	})
	if connection != nil {
		<-connection.CloseChan()
	}
}

// proxy plays the program that listens on a port.
func (s *Server) proxy(data, wrong httpstream.Stream, p place) {
	port := data.Headers().Get(corev1.PortHeader)
	code, there := s.Proxies[port]
	if code == Gone {
		s.succeed(p)
	}
	deletes := code == Deleted
	if deletes {
		code = http.StatusOK
	}
	if !there || code == Gone {
		_, _ = fmt.Fprintf(wrong, "failed to connect to localhost:%s inside namespace: connection refused", port) // the client may be gone
		_ = wrong.Close()
		_ = data.Close()
		return
	}
	_ = wrong.Close()
	r, err := http.ReadRequest(bufio.NewReader(data))
	if err == nil {
		s.mutex.Lock()
		s.requests = append(s.requests, r.Method+" "+r.Host+r.URL.Path)
		if s.AfterStop != 0 {
			s.Status = s.AfterStop
		}
		s.mutex.Unlock()
		if code == Silent {
			_, _ = data.Read(make([]byte, 1)) // this waits until the client has gone
			return
		}
		_, _ = fmt.Fprintf(data, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", code, http.StatusText(code)) // the client may be gone
		switch {
		case r.Method != http.MethodPost:
		case deletes:
			s.remove(p)
		case code == http.StatusOK:
			s.succeed(p)
		}
	}
	_ = data.Close()
}

// remove deletes a pod.
func (s *Server) remove(p place) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.objects = slices.DeleteFunc(s.objects, func(o object) bool {
		return o.resource == p.resource && o.namespace == p.namespace && o.name == p.name
	})
}

// succeed ends a pod.
func (s *Server) succeed(p place) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if o := s.find(p); o != nil {
		if status, ok := o.content["status"].(map[string]any); ok {
			status["phase"] = string(corev1.PodSucceeded)
		}
	}
}
