package provenance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Revision is the commit of a folder of sources.
type Revision struct {
	// Commit is empty where the folder is not the root of a clone, or where git is not
	// installed.
	Commit string
	// Dirty says that the folder has uncommitted changes.
	Dirty bool
}

// RevisionOf asks git for the revision. Git gets neither its settings nor variables that would
// point it to another repository.
func RevisionOf(ctx context.Context, sources string) Revision {
	git := func(arguments ...string) (string, bool) {
		// A setting of the clone could make git run another program.
		cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.fsmonitor=false", "-C", sources}, arguments...)...)
		for _, entry := range os.Environ() {
			if !strings.HasPrefix(entry, "GIT_") {
				cmd.Env = append(cmd.Env, entry)
			}
		}
		cmd.Env = append(cmd.Env, "GIT_OPTIONAL_LOCKS=0")
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	root, ok := git("rev-parse", "--show-toplevel")
	if !ok || !sameFolder(root, sources) {
		return Revision{}
	}
	commit, ok := git("rev-parse", "--verify", "HEAD")
	if !ok {
		return Revision{}
	}
	changes, ok := git("status", "--porcelain")
	return Revision{Commit: commit, Dirty: !ok || changes != ""}
}

func sameFolder(a, b string) bool {
	one, err1 := filepath.EvalSymlinks(a)
	two, err2 := filepath.EvalSymlinks(b)
	return err1 == nil && err2 == nil && one == two
}

// Material returns the revision as an input of a build.
func (r Revision) Material(repository string) Material {
	m := Material{Name: "sources", URI: "git+" + repository}
	if r.Commit != "" {
		m.Digest = map[string]string{"gitCommit": r.Commit}
		m.Notes = map[string]any{"dirty": r.Dirty}
	}
	return m
}
