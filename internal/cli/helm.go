package cli

import (
	"fmt"
	"os"
)

// helmStderr is the stderr of the Helm 4 that runs this program as its plugin, nil
// where there is none. Helm keeps what a post-renderer says there to itself, even
// of one that fails (helm 4.3.1, internal/plugin/runtime_subprocess.go): its user
// would learn that something is wrong, and not what. Only Linux has a way around.
func helmStderr() *os.File {
	if os.Getenv("HELM_PLUGIN_NAME") == "" {
		return nil
	}
	// Appending: to a file the two write in turns.
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil
	}
	return f
}
