package why

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/running"
)

// longest is the maximum length of a quoted message, in characters.
const longest = 300

// said joins a reason and a message of the cluster, made safe to print, without the full stop at
// the end.
func said(reason, message string) string {
	message = printed(message)
	switch {
	case message == "":
		return cmp.Or(printed(reason), "no reason is given")
	case reason == "":
		return message
	}
	return printed(reason) + ", " + message
}

func printed(text string) string {
	text = strings.TrimRight(strings.TrimSpace(printable.Text(strings.TrimSpace(text))), ".")
	if utf8.RuneCountInString(text) > longest {
		text = string([]rune(text)[:longest]) + "..."
	}
	return text
}

func upper(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// name returns the object as it stands at the beginning of a sentence.
func (j *judge) name() string {
	if j.Object.Namespace == "" {
		return j.Object.Kind + " " + j.Object.Name
	}
	return j.Object.Kind + " " + j.Object.Namespace + "/" + j.Object.Name
}

// howEnded says with which exit code or by which signal a container ended.
func howEnded(c *running.Container) string {
	switch {
	case c.Reason == "OOMKilled":
		return fmt.Sprintf("with exit code %d (out of memory)", c.Code)
	case c.Signal > 0:
		return fmt.Sprintf("by signal %d", c.Signal)
	}
	return fmt.Sprintf("with exit code %d", c.Code)
}

func (j *judge) ago(t time.Time) string {
	if t.IsZero() {
		return "at a time that is not known"
	}
	return Ago(j.Now.Sub(t))
}

// lasts says for how long something has gone on, as in " for 5 minutes". It is empty if the time is
// not known.
func (j *judge) lasts(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " for " + age(j.Now.Sub(t))
}

// Ago writes how long ago something was. Clocks that differ may give a negative duration; that is
// written as "just now".
func Ago(d time.Duration) string {
	if d < 2*time.Second {
		return "just now"
	}
	return age(d) + " ago"
}

// age writes a duration in the largest unit that still gives a number of at least 2.
func age(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d < 2*time.Second:
		return "a moment"
	case d < 2*time.Minute:
		return count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

// classic says why a proxy is not a native sidecar, if it could have been one.
func (j *judge) classic(p *running.Pod, c *running.Container) []string {
	row, ok := mesh.ByName(c.Mesh)
	if !ok || c.Role != running.Proxy {
		return nil
	}
	oldest := running.Oldest(j.Nodes)
	in := j.installation(row, p, c)
	if oldest.Kubelet.Before(1, 29) {
		return []string{fmt.Sprintf("Node %s has kubelet %s, and Kubernetes has native sidecars since 1.29.", oldest.Name, oldest.Kubelet)}
	}
	d := native.Native(row.Name, in, j.injector(p))
	kubelet := row.Native.DefaultKubelet
	switch {
	case d.Yes && (oldest.Kubelet.Known() || !kubelet.Known()):
		return []string{fmt.Sprintf("By %s it would be a native sidecar; the pod was made when that did not hold, or the installation of %s says no.", d.By, row.Title)}
	case d.Open == "" && kubelet.Known() && !in.Version.Before(row.Native.Default.Major, row.Native.Default.Minor) && oldest.Kubelet.Before(kubelet.Major, kubelet.Minor) && !strings.Contains(d.By, "annotation"):
		return []string{fmt.Sprintf("Node %s turns native sidecars off for the whole cluster: its kubelet is %s, and %s wants %s or newer on every node.",
			oldest.Name, oldest.Kubelet, row.Title, kubelet)}
	case d.Open != "", d.Yes:
		return nil // the answer depends on something that is not known here
	}
	return []string{fmt.Sprintf("It is not a native sidecar: %s.", d.By)}
}

// installation describes the mesh of a proxy, as far as its pod and the nodes show it.
func (j *judge) installation(row mesh.Mesh, p *running.Pod, c *running.Container) native.Installation {
	return native.Installation{Version: VersionOf(row, p.Annotations, c.Spec().Image), MinKubelet: running.Oldest(j.Nodes).Kubelet}
}

// injector returns what injectors read of a pod.
func (j *judge) injector(p *running.Pod) native.Pod {
	ns := j.Namespaces[p.Namespace]
	return native.Pod{
		Namespace: p.Namespace, Labels: p.Labels, Annotations: p.Annotations, NamespaceLabels: ns.Labels, NamespaceAnnotations: ns.Annotations,
	}
}

// VersionOf returns the version of a mesh as a pod shows it. This is the annotation that the
// injector leaves, if that is a version, or else the tag of the proxy's image. For Consul the tag
// is not used: it is the version of the proxy (consul-dataplane), which differs from the version of
// the injector.
func VersionOf(row mesh.Mesh, annotations map[string]string, image string) mesh.Version {
	if v, err := mesh.ParseVersion(annotations[row.Annotation]); err == nil {
		return v
	}
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	v, err := mesh.ParseVersion(tag)
	if err != nil || row.Name == "consul" {
		return mesh.Version{}
	}
	return v
}

// byHand returns commands that do the same as rescue.
func byHand(p *running.Pod, c *running.Container) []string {
	row, ok := mesh.ByName(c.Mesh)
	if !ok || row.Stop == "" {
		return nil
	}
	method, port, _ := row.StopURL()
	_, url, _ := strings.Cut(row.Stop, " ")
	fix := []string{fmt.Sprintf("kubectl -n %s port-forward %s %s & sleep 2; curl -X %s %s; kill $!", p.Namespace, p.Name, port, method, url)}
	if row.StopNeeds.Key != "" && p.Annotations[row.StopNeeds.Key] != row.StopNeeds.Value {
		fix = append(fix, fmt.Sprintf("if that answers 404, its stop request is off; for later runs: %s", row.StopDisabled))
	}
	return fix
}
