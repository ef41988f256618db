package running

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// CanOwn tells whether a real object can have the kind and the name of an owner reference. The API
// server accepts any text there from anybody who may create a pod, and both end up in commands that
// people paste.
func CanOwn(r metav1.OwnerReference) bool {
	return r.UID != "" && len(validation.IsDNS1035Label(strings.ToLower(r.Kind))) == 0 && len(validation.IsDNS1123Subdomain(r.Name)) == 0
}
