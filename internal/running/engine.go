package running

// An Engine is who applies the policies of jobmesh-policy in a cluster.
type Engine string

// The engines. Presumed stands for the API server where nobody has seen the policies: the label
// of a namespace is taken at its word. TooOld is an API server that has no such policies.
const (
	NoEngine    Engine = ""
	InAPIServer Engine = "API server"
	Presumed    Engine = "presumed"
	InKyverno   Engine = "Kyverno"
	TooOld      Engine = "too old"
)

// Changes tells whether pods in namespaces with the label are judged as the policies change
// them. What Kyverno makes of a pod is not judged.
func (e Engine) Changes() bool { return e == InAPIServer || e == Presumed }
