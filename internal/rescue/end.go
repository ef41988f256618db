package rescue

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/running"
)

// The results of a step. A step that fails has a sentence about the failure instead.
const (
	// Ended means that the container has ended.
	Ended = "ended"
	// Asked means that the container has accepted the stop request and may still drain.
	Asked = "asked: it has taken the stop request, and may drain"
)

const (
	// stepLimit bounds one request or program, and answerLimit the answer to a request. answerLimit
	// is shorter, so that a proxy that does not answer can be told from a connection that cannot be
	// opened.
	stepLimit, answerLimit = 15 * time.Second, 10 * time.Second
	// endLimit is how long a container may take to end after it was asked. startLimit is added to
	// it if an ephemeral container has to be started first.
	endLimit, startLimit = 10 * time.Second, time.Minute
	// lookEvery is the interval at which the pod is read meanwhile.
	lookEvery = 500 * time.Millisecond
	// seenAfter is how long the kubelet may take to notice that a container has ended.
	seenAfter = 3 * time.Second
)

// An Ender ends pods of one cluster.
type Ender struct {
	Cluster *cluster.Cluster
	Linter  *lint.Linter
	// Nodes are the nodes of the pods, as far as they are known.
	Nodes   []running.Node
	Options Options
	// Image is the image of jobmesh-wrap, for Ephemeral.
	Image string
}

// An Outcome is the result for one pod.
type Outcome struct {
	Plan
	// Result is Ended, Asked or a sentence.
	Result string
	// Err is set if the pod was to be ended and was not, or if that is not known. Result has its
	// text.
	Err error
}

// End reads a pod again, and ends the containers that keep it if that is still right. An error is
// one of the cluster.
func (e *Ender) End(ctx context.Context, namespace, name string) (Outcome, error) {
	pod, err := e.Cluster.Pod(ctx, namespace, name)
	if cluster.IsGone(err) {
		return Outcome{Plan: Plan{Action: Skip, Via: e.Options.Via, Why: "it has gone"}}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	read, err := running.Read(pod, running.NodeOf(pod, e.Nodes), e.Linter)
	if err != nil {
		return Outcome{}, err
	}
	options := e.Options
	options.Now = e.Cluster.Now()
	out := Outcome{Plan: Decide(&read, options)}
	if out.Action != End {
		return out, nil
	}
	var stoppers []string
	for _, step := range out.Steps {
		stopper, err := e.step(ctx, pod, step)
		if stopper != "" {
			stoppers = append(stoppers, stopper)
		}
		if err != nil {
			out.Result, out.Err = fmt.Sprintf("`%s`: %s", step.Container, printable.Text(err.Error())), err
			return out, ctx.Err()
		}
	}
	if out.Result, out.Err = e.watch(ctx, namespace, name, out.Steps, stoppers); out.Err != nil {
		out.Result = printable.Text(out.Err.Error())
	}
	return out, ctx.Err()
}

// step performs one step. stopper is the name of the ephemeral container that was added for it;
// empty if none was added.
func (e *Ender) step(ctx context.Context, pod *corev1.Pod, step Step) (stopper string, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	switch e.Options.Via {
	case Exec:
		said, err := e.Cluster.Run(ctx, pod.Namespace, pod.Name, step.Container, step.Command)
		return "", e.Cluster.Explain(ranOr(step, said, err), "exec", "rescue")
	case Ephemeral:
		return e.beside(ctx, pod, step)
	}
	return "", e.ask(ctx, pod, step)
}

// ask sends the stop request of a proxy.
func (e *Ender) ask(ctx context.Context, pod *corev1.Pod, step Step) error {
	row, _ := mesh.ByName(step.Row)
	if row.StopAfterAnswer {
		if _, err := e.request(ctx, pod, "GET "+row.Ready[0]); err != nil {
			return fmt.Errorf("it has not answered yet, and would not end if it were asked now: %w", err)
		}
	}
	code, err := e.request(ctx, pod, step.Request)
	if err != nil && row.Fallback.Stop != "" && ctx.Err() == nil {
		// No program listens on that port; the proxy's own port is open all the same.
		if again, other := e.request(ctx, pod, row.Fallback.Stop); other == nil {
			code, err = again, nil
		}
	}
	switch {
	case err != nil && e.endsBy(ctx, pod, step):
		return nil // somebody else has asked it, for example another rescue
	case err != nil:
		return err
	case code == http.StatusUnauthorized && row.TokenVariable != "":
		return fmt.Errorf("it wants the token of its variable %s; --via ephemeral cannot know it either: end it with that header by hand", row.TokenVariable)
	case (code == http.StatusNotFound || code == http.StatusForbidden) && row.StopDisabled != "":
		return fmt.Errorf("its stop request is off (%d); for later runs: %s", code, row.StopDisabled)
	case code >= 300:
		return fmt.Errorf("%s is answered with %d", step.Request, code)
	}
	return nil
}

// endsBy tells whether a container ends within seenAfter although it could not be asked.
func (e *Ender) endsBy(ctx context.Context, pod *corev1.Pod, step Step) bool {
	ctx, cancel := context.WithTimeout(ctx, seenAfter)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		now, err := e.Cluster.Pod(ctx, pod.Namespace, pod.Name)
		if cluster.IsGone(err) || err == nil && over(now, []Step{step}) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// killed and terminated are the exit codes of a program that ended by SIGKILL and by SIGTERM.
const killed, terminated = 137, 143

// ranOr turns the exit code of a program that was run into an error with the last line of its
// output. A program that was killed is no error: its container has ended, which is what was wanted.
func ranOr(step Step, said string, err error) error {
	code, exited := cluster.ExitCode(err)
	switch {
	case !exited:
		return err
	case code == killed, code == terminated:
		return nil
	}
	return fault.New(fault.Findings, fmt.Errorf("%s: %s", strings.Join(step.Command, " "), cmp.Or(lastLine(said), err.Error())))
}

// request sends a stop request from within the pod. Some proxies close the connection without an
// answer after they got the request; this counts as success, and the code is 0.
func (e *Ender) request(ctx context.Context, pod *corev1.Pod, request string) (code int, err error) {
	method, address, _ := strings.Cut(request, " ")
	at, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s has no port", address)
	}
	conn, err := e.Cluster.Dial(ctx, pod.Namespace, pod.Name, uint16(port))
	if err != nil {
		return 0, e.Cluster.ExplainDial(err)
	}
	defer conn.Close()
	return exchange(ctx, conn, method, at)
}

// exchange sends a request and reads the status code of the answer. When the time is up it closes
// the connection, so that the end of a connection after that time is not taken for an answer.
func exchange(ctx context.Context, conn io.ReadWriteCloser, method string, at *url.URL) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return 0, err
	}
	r.Close = true
	late := fmt.Errorf("%s %s is not answered in time", method, at)
	if err := r.Write(conn); err != nil {
		if ctx.Err() != nil {
			err = late
		}
		return 0, err
	}
	reader := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(reader, r)
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, late
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return 0, nil
		case err != nil:
			return 0, err
		}
		// Read the whole answer, up to a bound: a server whose connection is cut may not finish.
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
		_ = response.Body.Close() // everything that matters was read
		if response.StatusCode >= 200 {
			return response.StatusCode, nil
		}
	}
}

// watch waits until the containers have ended. stoppers are the containers that were added to end
// them. It returns an error if they will not end, or if that is not known because the last read
// failed.
func (e *Ender) watch(ctx context.Context, namespace, name string, steps []Step, stoppers []string) (string, error) {
	limit := endLimit
	if len(stoppers) > 0 {
		limit += startLimit
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		pod, err := e.Cluster.Pod(ctx, namespace, name)
		switch {
		case cluster.IsGone(err), err == nil && over(pod, steps):
			return Ended, nil
		case cluster.IsDenied(err):
			return "", e.unknown(err)
		case err == nil:
			if err := stopped(pod, stoppers, false); err != nil {
				return "", err
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-late.C:
			if err != nil {
				return "", e.unknown(err)
			}
			return Asked, stopped(pod, stoppers, true)
		case <-tick.C:
		}
	}
}

// stopped says what went wrong with a container that was added to stop another one. If late is set,
// a container that has not ended yet counts as well.
func stopped(pod *corev1.Pod, stoppers []string, late bool) error {
	states := map[string]corev1.ContainerState{}
	for _, s := range pod.Status.EphemeralContainerStatuses {
		states[s.Name] = s.State
	}
	for _, name := range stoppers {
		var wrong string
		switch state := states[name]; {
		case state.Terminated != nil && state.Terminated.ExitCode == 0:
		case state.Terminated != nil:
			wrong = fmt.Sprintf("ended with %d: %s", state.Terminated.ExitCode, cmp.Or(lastLine(state.Terminated.Message), state.Terminated.Reason))
		case late && state.Running != nil:
			wrong = "has not ended"
		case late && state.Waiting != nil:
			wrong = "has not been started: " + cmp.Or(lastLine(state.Waiting.Message), state.Waiting.Reason)
		case late:
			wrong = "has not been started"
		}
		if wrong != "" {
			return fault.New(fault.Findings, fmt.Errorf("`%s` %s", name, wrong))
		}
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

// unknown is the error if a pod cannot be read after it was asked. Whoever had the right to ask has
// enough rights, so it is not an error of missing rights.
func (e *Ender) unknown(err error) error {
	return fault.New(fault.Registry, e.Cluster.Explain(err, "it was asked to stop, and whether it has stopped is not known", "rescue"))
}

func over(pod *corev1.Pod, steps []Step) bool {
	if running.HasEnded(pod) {
		return true
	}
	ended := map[string]bool{}
	for _, s := range pod.Status.ContainerStatuses {
		ended[s.Name] = s.State.Terminated != nil
	}
	for _, step := range steps {
		if !ended[step.Container] {
			return false
		}
	}
	return true
}

// stopperName is the prefix of the names of the containers that rescue adds.
const stopperName = "jobmesh-stop"

// beside adds an ephemeral container that stops the other one, and returns its name. The container
// keeps to the Pod Security Standard "restricted", since its namespace may enforce that.
func (e *Ender) beside(ctx context.Context, pod *corev1.Pod, step Step) (string, error) {
	if e.Image == "" {
		return "", errors.New("no image is known; --image names the one of jobmesh-wrap in your registry")
	}
	yes, no := true, false
	container := corev1.EphemeralContainer{
		TargetContainerName: step.Container,
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Image: e.Image, Args: step.Command,
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError, // the status of the container then says why it failed
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
	if step.User >= 0 {
		container.SecurityContext.RunAsUser = &step.User
	}
	if step.User != 0 {
		container.SecurityContext.RunAsNonRoot = &yes
	}
	name, err := e.Cluster.AddEphemeral(ctx, pod, stopperName, container)
	return name, e.Cluster.Explain(err, "ephemeral container", "rescue")
}
