package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

func TestInterruptible(t *testing.T) {
	require.NoError(t, iotest.TestReader(interruptible(t.Context(), strings.NewReader("all of it")), []byte("all of it")))

	broken := errors.New("broken")
	_, err := io.ReadAll(interruptible(t.Context(), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

// TestInterruptedWhileReading: a verb that waits for input ends at Ctrl-C, and writes nothing
// of what it has read so far.
func TestInterruptedWhileReading(t *testing.T) {
	for _, verb := range []string{"inject", "lint", "function"} {
		t.Run(verb, func(t *testing.T) {
			in, w, err := os.Pipe()
			require.NoError(t, err)
			defer w.Close()
			_, err = w.WriteString("apiVersion: v1\nkind: ConfigMap\n---\n")
			require.NoError(t, err)
			ctx, stop := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, stop)
			var out, stderr bytes.Buffer
			require.Equal(t, fault.Interrupted, Run(ctx, []string{verb}, "1.2.3", Streams{In: in, Out: &out, Err: &stderr}))
			require.Empty(t, out.String())
			require.Equal(t, "jobmesh: interrupted; what existed before is unchanged\n", stderr.String())
		})
	}
}
