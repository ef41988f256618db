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

// mostSaid bounds the output that is read of a program in a container, in bytes.
const mostSaid = 16 << 10

// sub returns the URL of a subresource of a pod.
func (c *Cluster) sub(namespace, pod, name string) *url.URL {
	return c.core.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource(name).URL()
}

// Dial opens a connection to a port on the loopback interface of a pod. It opens no local port that
// other programs could use. It needs the right to create pods/portforward.
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
		go func() { // Dial takes no context, so a connection that comes late is closed here
			if d := <-done; d.conn != nil {
				_ = d.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// isOld tells whether a server, or a proxy before it, does not know WebSockets. Two packages define
// that error.
func isOld(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) || streaming.IsUpgradeFailure(err) || streaming.IsHTTPSProxyError(err)
}

type forwarded struct {
	connection httpstream.Connection
	data       httpstream.Stream
	// told is closed when the kubelet has ended its error stream. wrong is what the kubelet wrote
	// to that stream; it is nil if the kubelet wrote nothing.
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
	_ = said.Close() // this side writes nothing to the error stream
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
			_ = f.Close() // no data can come any more
		}
	}()
	return f, nil
}

// because returns why the connection has ended: the error that the kubelet reports, or else err. It
// waits for the error stream, since the two streams end in any order.
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

// Read reads from the pod. If the port did not answer, the error says why.
func (f *forwarded) Read(p []byte) (int, error) {
	n, err := f.data.Read(p)
	if err != nil && n == 0 {
		err = f.because(err)
	}
	return n, err
}

// Write writes to the pod. Its errors are like those of Read.
func (f *forwarded) Write(p []byte) (int, error) {
	n, err := f.data.Write(p)
	if err != nil {
		err = f.because(err)
	}
	return n, err
}

// Close ends the connection, and the stream connection that carries it.
func (f *forwarded) Close() error {
	f.once.Do(func() {
		_ = f.data.Reset() // the connection is closed next in any case
		_ = f.connection.Close()
	})
	return nil
}

func (f *forwarded) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (f *forwarded) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline closes the connection at the given time.
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

// Run runs a program in a container, and returns the beginning of its output. It needs the right to
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

// bounded keeps the beginning of what is written to it.
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

// ExitCode returns the exit code of a program of Run. exited is false if the error says something
// else.
func ExitCode(err error) (code int, exited bool) {
	var ended exec.CodeExitError
	exited = errors.As(err, &ended)
	return ended.Code, exited
}

// AddEphemeral adds an ephemeral container to a running pod, and returns its name: the prefix with
// a number. The container stays in the pod's spec. If the pod has changed since it was read, for
// example by an earlier ephemeral container, it is read again. This needs the right to update
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
			return apierrors.NewNotFound(corev1.Resource("pods"), pod.Name) // another pod has its name now
		}
		pod = again
		return err
	})
	return name, err
}
