package wrap

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/smallfile"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// A pod is what is known of the pod before any proxy is asked.
type pod struct {
	env environment
	// annotations are those of the pod, by name; nil where there is no file with them.
	annotations map[string]string
	// native are the meshes and containers that are native sidecars whatever the mesh's
	// own annotations say: those of --native and of mesh.NativeAnnotation, and those
	// that install saw.
	native []string
}

// nativeFile is what install leaves beside the program: the names of the proxies that
// answered before any ordinary container of the pod had been started.
const nativeFile = "jobmesh-native"

// Bounds of what is read. Kubernetes takes annotations of 256 KiB in all (by the API's
// TotalAnnotationSizeLimitB), and a byte of them is at most four in the file.
const (
	annotationsLimit = 1 << 20
	nativeLimit      = 4 << 10
)

// readPod reads what the pod says. A file that is not there says nothing; one that was
// asked for by its name, or cannot be read, is warned of.
func (r *run) readPod() *pod {
	p := &pod{env: r.env, native: slices.Clone(r.opts.Native)}
	dir := programDir()
	path := r.opts.PodAnnotations
	if path == "" && dir != "" { // a program in / has no folder whose name the other one begins with
		path = dir + "-pod/annotations"
	}
	if path != "" {
		text, err := smallfile.Read(path, annotationsLimit)
		switch {
		case err == nil:
			p.annotations = parseAnnotations(text)
		case r.opts.PodAnnotations != "" || err != syscall.ENOENT && err != syscall.ENOTDIR:
			r.logEvent(event{severity: warning, name: "pod-annotations",
				text: path + ": " + err.Error() + ": going on without the pod's annotations",
				hint: "the file is that of a downwardAPI volume with fieldPath metadata.annotations"})
		}
	}
	p.addNative(p.annotations[mesh.NativeAnnotation])
	if text, err := smallfile.Read(dir+"/"+nativeFile, nativeLimit); err == nil {
		p.addNative(strings.ReplaceAll(text, "\n", ","))
	}
	return p
}

func (p *pod) addNative(list string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			p.native = append(p.native, name)
		}
	}
}

// word returns the value of an annotation, or of the variable that holds the same, and
// whether it is there. The variable wins where it has a value.
func (p *pod) word(annotation, variable string) (value string, present bool) {
	value, present = p.env.lookup(variable)
	if annotated, ok := p.annotations[annotation]; ok && value == "" {
		return annotated, true
	}
	return value, present
}

// isNative reports whether a proxy is known to be a native sidecar.
func (p *pod) isNative(m *mesh.Mesh) bool {
	return slices.ContainsFunc(p.native, m.Is) || m.IsNative(func(annotation, variable string) string {
		value, _ := p.word(annotation, variable)
		return value
	})
}

// parseAnnotations reads what the downward API writes: a line NAME="VALUE" for each
// annotation, the value quoted as Go does it. Every container that the file is mounted
// into reads the same; a line that is not of this form is passed over.
func parseAnnotations(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		name, quoted, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if value, err := strconv.Unquote(quoted); ok && err == nil {
			all[name] = value
		}
	}
	return all
}

// programDir is the folder of this program, by its own path; "" for the root folder.
func programDir() string {
	const longest = 4096 // PATH_MAX
	name := make([]byte, longest)
	path := os.Args[0]
	if n, err := syscall.Readlink("/proc/self/exe", name); err == nil {
		path = string(name[:n])
	}
	return path[:max(strings.LastIndexByte(path, '/'), 0)]
}

// warnMisspelt tells of variables that were meant for the wrapper and reach it under
// another name.
func (r *run) warnMisspelt() {
	var names []string
	for _, entry := range r.env {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			names = append(names, name)
		}
	}
	for _, m := range wrapflags.Misspelt(names) {
		r.logEvent(event{severity: warning, name: "usage",
			text: "the variable " + m.Name + " is not one of this wrapper's, and is ignored: did you mean " + m.Meant + "?"})
	}
}
