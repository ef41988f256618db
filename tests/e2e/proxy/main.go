// Proxy stands in for the sidecar proxies of Linkerd, Istio, Kuma and Consul, because the tests cannot rely on their
// images being reachable. It proxies nothing. It keeps to the admin contract that a Job depends on: how such a proxy
// says that it is ready, how it is asked to stop, which requests it refuses, and that it never ends otherwise.
//
//	proxy -mesh linkerd -ready-after 300ms
//
// The behaviour is taken from these sources. Linkerd: linkerd2-proxy, linkerd/app/admin/src/server.rs. Istio:
// pilot/cmd/pilot-agent/status/server.go. Kuma: measured with kuma-dp 2.11.18 and its Envoy. Consul: measured with
// consul-dataplane 2.0.1, without a shutdown grace period.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// drain is how long open connections stay after a stop request was answered; the real proxies close idle ones at once.
const drain = time.Second

// linkerdShutdown is the variable with which Linkerd's injector enables the stop request, which is off since 2.16.
const linkerdShutdown = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED"

// admin is what all proxies have in common.
type admin struct {
	readyAt time.Time
	stop    func()
}

// servers gives, for each mesh, the handler of each port.
var servers = map[string]func(admin) map[int]http.Handler{
	"linkerd": linkerd,
	"istio":   istio,
	"kuma":    kuma,
	"consul":  consul,
}

func linkerd(a admin) map[int]http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", answer("live\n"))
	mux.HandleFunc("GET /ready", a.ready)
	mux.HandleFunc("GET /env.json", environment)
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, r *http.Request) {
		if os.Getenv(linkerdShutdown) != "true" {
			http.Error(w, "shutdown endpoint is not enabled", http.StatusNotFound)
			return
		}
		a.shutdown(w, r, "shutdown\n")
	})
	return map[int]http.Handler{4191: mux}
}

func istio(a admin) map[int]http.Handler {
	agent := http.NewServeMux()
	agent.HandleFunc("GET /healthz/ready", a.ready)
	agent.HandleFunc("POST /quitquitquit", func(w http.ResponseWriter, r *http.Request) { a.shutdown(w, r, "OK") })
	envoy := http.NewServeMux()
	envoy.HandleFunc("GET /healthz/ready", a.ready)
	return map[int]http.Handler{15020: agent, 15021: envoy}
}

// kuma has a reporter that says from the start that everything is ready, whether or not Envoy is.
func kuma(a admin) map[int]http.Handler {
	envoy := http.NewServeMux()
	envoy.HandleFunc("GET /ready", a.ready)
	envoy.HandleFunc("POST /quitquitquit", func(w http.ResponseWriter, r *http.Request) { a.shutdown(w, r, "OK\n") })
	reporter := http.NewServeMux()
	reporter.HandleFunc("GET /ready", answer("READY"))
	return map[int]http.Handler{9901: envoy, 9902: reporter}
}

// consul accepts any method. If a stop request comes before its Envoy is ready, consul answers as usual, but from then
// on no request can end it.
func consul(a admin) map[int]http.Handler {
	envoy := http.NewServeMux()
	envoy.HandleFunc("GET /ready", a.ready)
	lifecycle := http.NewServeMux()
	var deaf atomic.Bool
	lifecycle.HandleFunc("/graceful_shutdown", func(w http.ResponseWriter, r *http.Request) {
		if time.Now().Before(a.readyAt) {
			deaf.Store(true)
		}
		if !deaf.Load() {
			a.shutdown(w, r, "")
		}
	})
	return map[int]http.Handler{19000: envoy, 20600: lifecycle}
}

func (a admin) ready(w http.ResponseWriter, _ *http.Request) {
	if time.Now().Before(a.readyAt) {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// shutdown obeys only containers of the same pod.
func (a admin) shutdown(w http.ResponseWriter, r *http.Request, reply string) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		http.Error(w, "Requests are only permitted from localhost.", http.StatusForbidden)
		return
	}
	fmt.Fprint(w, reply)
	fmt.Println("proxy: "+r.Method, r.URL.Path) // the tests count these lines
	a.stop()
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// environment answers /env.json?NAME with the value of that variable; null if it is not set.
func environment(w http.ResponseWriter, r *http.Request) {
	name := r.URL.RawQuery
	values := map[string]*string{name: nil}
	if value, set := os.LookupEnv(name); set {
		values[name] = &value
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(values)
}

func main() {
	mesh := flag.String("mesh", "linkerd", "whose contract to keep: linkerd, istio, kuma or consul")
	readyAfter := flag.Duration("ready-after", 0, "how long it answers 503 first")
	flag.Parse()
	if err := run(allAddresses, *mesh, *readyAfter); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// allAddresses makes the proxy listen on all addresses, since the kubelet's probes come from outside the pod.
const allAddresses = ""

// run serves until it is asked to stop, by a request or by a signal.
func run(address, mesh string, readyAfter time.Duration) error {
	handlers, known := servers[mesh]
	if !known {
		return fmt.Errorf("-mesh %s: not known", mesh)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	// All ports are open before any is served: a client that sees one of them ready may use another one at once.
	listeners := map[net.Listener]http.Handler{}
	for port, handler := range handlers(admin{readyAt: time.Now().Add(readyAfter), stop: stop}) {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
		if err != nil {
			return err
		}
		listeners[listener] = handler
	}
	failed := make(chan error, len(listeners))
	var running []*http.Server
	for listener, handler := range listeners {
		server := &http.Server{Handler: handler}
		running = append(running, server)
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	fmt.Printf("proxy: stands in for %s, ready after %s\n", mesh, readyAfter)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Println("proxy: asked to stop")
	patience, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	for _, server := range running {
		if err := server.Shutdown(patience); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}
