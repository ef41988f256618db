package cli

import (
	"context"
	"io"
	"sync"
)

// interruptible returns a reader that gives up when the context ends: a program that
// waits for input is to end at Ctrl-C, whatever becomes of who writes it. Nothing is
// read before somebody asks.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	return &interruptibleReader{out, sync.OnceFunc(func() {
		context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
		go func() {
			_, err := io.Copy(in, r)
			in.CloseWithError(err) // nil is the end of the input
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
