package cli

import (
	"context"
	"io"
	"sync"
)

// interruptible returns a reader that stops with an error when the context ends. So Ctrl-C ends
// a program that waits for input, whatever the writer of the input does. The reader reads
// nothing before the first call of Read.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	return &interruptibleReader{out, sync.OnceFunc(func() {
		context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
		go func() {
			_, err := io.Copy(in, r)
			in.CloseWithError(err) // CloseWithError(nil) means the end of the input
		}()
	})}
}

type interruptibleReader struct {
	*io.PipeReader
	start func()
}

func (r *interruptibleReader) Read(p []byte) (int, error) {
	r.start()
	return r.PipeReader.Read(p)
}
