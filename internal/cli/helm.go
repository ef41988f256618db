package cli

import (
	"fmt"
	"os"
)

// helmStderr returns the stderr of the Helm 4 that runs this program as its plugin, and nil
// where Helm does not. Helm shows its user nothing of what a post-renderer writes to stderr,
// even where the post-renderer fails (helm 4.3.1, internal/plugin/runtime_subprocess.go), so
// the user would not learn the cause. Only on Linux can the plugin reach Helm's own stderr.
func helmStderr() *os.File {
	if os.Getenv("HELM_PLUGIN_NAME") == "" {
		return nil
	}
	// The file is opened for appending, because both programs write to it.
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil
	}
	return f
}
