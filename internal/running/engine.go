package running

// An Engine says what applies the policies of jobmesh-policy in a cluster.
type Engine string

// The engines. Presumed means that the policies may not be read: the API server is then taken to
// apply them if a namespace has the label. TooOld means an API server that has no such policies.
// NotAsked means that nothing can be said, because the bound on requests was reached.
const (
	NoEngine    Engine = ""
	InAPIServer Engine = "API server"
	Presumed    Engine = "presumed"
	InKyverno   Engine = "Kyverno"
	TooOld      Engine = "too old"
	NotAsked    Engine = "not asked"
)

// Installed says which policies of jobmesh-policy that change pods are in a cluster. Its values can
// leave out either.
type Installed struct{ Wrap, Nativize bool }

// Changes tells whether pods in namespaces with the label are judged as the policies change them.
// What Kyverno makes of a pod is not known, so the pod is judged unchanged.
func (e Engine) Changes() bool { return e == InAPIServer || e == Presumed }
