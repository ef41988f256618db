package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	//lint:ignore SA1019 the dialers of client-go still fail with the errors of this package
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	"k8s.io/client-go/util/retry"
	streaming "k8s.io/streaming/pkg/httpstream"
)

// mostSaid bounds what is read of a program in a container, in bytes.
const mostSaid = 16 << 10

// sub is the URL of a subresource of a pod.
func (c *Cluster) sub(namespace, pod, name string) *url.URL {
	return c.core.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource(name).URL()
}

// Dial opens a connection to a port on the loopback of a pod. There is no port here that
// others could use meanwhile. It needs the right to create pods/portforward.
func (c *Cluster) Dial(ctx context.Context, namespace, pod string, port uint16) (net.Conn, error) {
	at := c.sub(namespace, pod, "portforward")
	config, refused := c.streaming()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(at, config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialer(tunnel, old, isOld)
	type dialed struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialed, 1)
	go func() {
		stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		if err != nil {
			done <- dialed{nil, refused.or(err)}
			return
		}
		conn, err := open(stream, port)
		done <- dialed{conn, err}
	}()
	select {
	case d := <-done:
		return d.conn, d.err
	case <-ctx.Done():
		go func() { // Dial takes no context: what still comes is closed
			if d := <-done; d.conn != nil {
				_ = d.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// isOld tells whether a server, or a proxy before it, knows no WebSockets. There are two
// packages with that error.
func isOld(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) || streaming.IsUpgradeFailure(err) || streaming.IsHTTPSProxyError(err)
}

// forwarded is one connection to a port of a pod.
type forwarded struct {
	connection httpstream.Connection
	data       httpstream.Stream
	// told is closed when the kubelet has ended its stream for errors, and wrong is what it has
	// said there, nil where it has said nothing.
	told  chan struct{}
	wrong error
	once  sync.Once
	stop  *time.Timer
	mutex sync.Mutex
}

func open(connection httpstream.Connection, port uint16) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(port)))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	said, err := connection.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	_ = said.Close() // nothing is written there
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	f := &forwarded{connection: connection, data: data, told: make(chan struct{})}
	go func() {
		text, err := io.ReadAll(io.LimitReader(said, mostSaid))
		if err == nil && len(text) > 0 {
			f.wrong = fmt.Errorf("port %d: %s", port, bytes.TrimSpace(text))
		}
		close(f.told)
		if f.wrong != nil {
			_ = f.Close() // nothing comes any more
		}
	}()
	return f, nil
}

// because is why the connection has ended: what the kubelet says, where it says anything. The
// two streams end in any order.
func (f *forwarded) because(err error) error {
	select {
	case <-f.told:
		if f.wrong != nil {
			return f.wrong
		}
	case <-time.After(time.Second):
	}
	return err
}

// Read reads from the pod. Where the port did not answer, the error says why.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.data.Read(p)
	if err != nil && n == 0 {
		err = f.because(err)
	}
	return n, err
}

// Write writes to the pod. Its errors are as those of Read.
func (f *forwarded) Write(p []byte) (int, error) {
	n, err := f.data.Write(p)
	if err != nil {
		err = f.because(err)
	}
	return n, err
}

// Close ends the connection, and the one that carries it.
func (f *forwarded) Close() error {
	f.once.Do(func() {
		_ = f.data.Reset() // closed with the rest
		_ = f.connection.Close()
	})
	return nil
}

func (f *forwarded) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (f *forwarded) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline closes the connection at that time.
func (f *forwarded) SetDeadline(t time.Time) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.stop != nil {
		f.stop.Stop()
		f.stop = nil
	}
	if !t.IsZero() {
		f.stop = time.AfterFunc(time.Until(t), func() { _ = f.Close() })
	}
	return nil
}

func (f *forwarded) SetReadDeadline(t time.Time) error  { return f.SetDeadline(t) }
func (f *forwarded) SetWriteDeadline(t time.Time) error { return f.SetDeadline(t) }

// Run runs a program in a container, and returns what it says, bounded. It needs the right to
// create pods/exec.
func (c *Cluster) Run(ctx context.Context, namespace, pod, container string, command []string) (string, error) {
	at := c.core.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").VersionedParams(
		&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	config, refused := c.streaming()
	socket, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, at.String())
	if err != nil {
		return "", err
	}
	old, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, at)
	if err != nil {
		return "", err
	}
	executor, err := remotecommand.NewFallbackExecutor(socket, old, isOld)
	if err != nil {
		return "", err
	}
	var said bounded
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &said, Stderr: &said})
	return said.String(), refused.or(err)
}

// bounded keeps the beginning of what is written.
type bounded struct {
	mutex sync.Mutex
	text  []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.text = append(b.text, p[:min(len(p), mostSaid-len(b.text))]...)
	return len(p), nil
}

func (b *bounded) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return string(b.text)
}

// ExitCode is the code with which a program of Run has ended; exited is false where the error
// says something else.
func ExitCode(err error) (code int, exited bool) {
	var ended exec.CodeExitError
	exited = errors.As(err, &ended)
	return ended.Code, exited
}

// AddEphemeral adds a container to a pod that runs, and returns its name: prefix with a number.
// It stays in the pod's spec. Where the pod has been changed since it was read, as by the
// container before this one, it is read again. It needs the right to update
// pods/ephemeralcontainers.
func (c *Cluster) AddEphemeral(ctx context.Context, pod *corev1.Pod, prefix string, container corev1.EphemeralContainer) (name string, err error) {
	pods, uid := c.core.CoreV1().Pods(pod.Namespace), pod.UID
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		changed := pod.DeepCopy()
		name = fmt.Sprintf("%s-%d", prefix, len(changed.Spec.EphemeralContainers)+1)
		container.Name = name
		changed.Spec.EphemeralContainers = append(changed.Spec.EphemeralContainers, container)
		_, err := pods.UpdateEphemeralContainers(ctx, pod.Name, changed, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			return err
		}
		again, unread := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case unread != nil:
			return unread
		case again.UID != uid:
			return apierrors.NewNotFound(corev1.Resource("pods"), pod.Name) // another one has its name
		}
		pod = again
		return err
	})
	return name, err
}
