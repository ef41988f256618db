package apiserver

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// core decodes the types of core/v1, which clients send in more than one encoding.
var core = func() serializer.CodecFactory {
	types := runtime.NewScheme()
	if err := corev1.AddToScheme(types); err != nil {
		panic(err) // the types do not fit together
	}
	return serializer.NewCodecFactory(types)
}()

// addBeside accepts an update of the ephemeral containers of a pod if it is based on the current version of the pod.
// The last container ends at once with the code Beside. If that code is 0, its target container ends too.
func (s *Server) addBeside(w http.ResponseWriter, r *http.Request, p place) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	var wanted corev1.Pod
	if _, _, err := core.UniversalDeserializer().Decode(text, nil, &wanted); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	o := s.find(p)
	if o == nil {
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, p.name+" not found")
		return
	}
	var pod corev1.Pod
	if err := into(&pod, o.content); err != nil {
		panic(err) // the test has a mistake
	}
	if pod.ResourceVersion != wanted.ResourceVersion {
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")
		return
	}
	pod.Spec.EphemeralContainers = wanted.Spec.EphemeralContainers
	version, _ := strconv.Atoi(pod.ResourceVersion) // an empty version counts as 0
	pod.ResourceVersion = strconv.Itoa(version + 1)
	added := pod.Spec.EphemeralContainers[len(pod.Spec.EphemeralContainers)-1]
	over := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.Now()}}
	pod.Status.EphemeralContainerStatuses = append(pod.Status.EphemeralContainerStatuses, corev1.ContainerStatus{Name: added.Name, State: over})
	if s.Beside != 0 {
		over.Terminated.ExitCode, over.Terminated.Message = int32(s.Beside), "jobmesh-wrap: starts\njobmesh-wrap: it could not\n"
	} else {
		end(&pod, added.TargetContainerName, over)
	}
	o.content = map[string]any{}
	if err := into(&o.content, pod); err != nil {
		panic(err)
	}
	answer(w, o.content)
}

// end ends a container, and ends the pod with the last of its containers.
func end(pod *corev1.Pod, name string, over corev1.ContainerState) {
	pod.Status.Phase = corev1.PodSucceeded
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		if status.Name == name {
			status.State = over
		}
		if status.State.Terminated == nil {
			pod.Status.Phase = corev1.PodRunning
		}
	}
}

// into copies a value through JSON.
func into(to, from any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
