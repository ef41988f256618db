package lint

import (
	"encoding/json"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// evaluator is the code with which Kubernetes itself checks Pod Security.
var evaluator = sync.OnceValues(func() (policy.Evaluator, error) {
	return policy.NewEvaluator(policy.DefaultChecks(), nil)
})

// unrestricted returns what keeps a pod from passing Pod Security "restricted". It returns
// nothing where the pod cannot be decoded.
func unrestricted(p *pod) []string {
	var loose any
	if p.spec.node == nil || p.spec.node.Decode(&loose) != nil {
		return nil
	}
	text, err := json.Marshal(loose)
	var spec corev1.PodSpec
	if err != nil || json.Unmarshal(text, &spec) != nil {
		return nil
	}
	judge, err := evaluator()
	if err != nil {
		return nil
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var lacks []string
	for _, check := range judge.EvaluatePod(level, &metav1.ObjectMeta{Annotations: p.annotations}, &spec) {
		if !check.Allowed {
			lacks = append(lacks, check.ForbiddenReason+" ("+check.ForbiddenDetail+")")
		}
	}
	return lacks
}
