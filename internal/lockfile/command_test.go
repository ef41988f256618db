package lockfile

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestArgv(t *testing.T) {
	both := Command{Entrypoint: []string{"/entry", "-v"}, Cmd: []string{"serve"}}
	for name, c := range map[string]struct {
		command, args []string
		image         Command
		want          []string
	}{
		"command":                    {command: []string{"/a"}, image: both, want: []string{"/a"}},
		"command and args":           {command: []string{"/a"}, args: []string{"b"}, image: both, want: []string{"/a", "b"}},
		"args":                       {args: []string{"b"}, image: both, want: []string{"/entry", "-v", "b"}},
		"args without ENTRYPOINT":    {args: []string{"b"}, image: Command{Cmd: []string{"serve"}}, want: []string{"b"}},
		"neither":                    {image: both, want: []string{"/entry", "-v", "serve"}},
		"neither, ENTRYPOINT alone":  {image: Command{Entrypoint: []string{"/entry"}}, want: []string{"/entry"}},
		"neither, CMD alone":         {image: Command{Cmd: []string{"serve"}}, want: []string{"serve"}},
		"nothing at all":             {},
		"empty lists":                {command: []string{}, args: []string{}, image: Command{Entrypoint: []string{}, Cmd: []string{}}},
		"empty args are no args":     {args: []string{}, image: both, want: []string{"/entry", "-v", "serve"}},
		"an empty word is an arg":    {args: []string{""}, image: both, want: []string{"/entry", "-v", ""}},
		"command needs no image":     {command: []string{"/a"}, want: []string{"/a"}},
		"args need no image's words": {args: []string{"/a"}, want: []string{"/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Argv(c.command, c.args, c.image)
			assert.Equal(t, c.want, got)
			if c.want == nil {
				assert.ErrorIs(t, err, ErrNothingToRun)
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestArgvSharesNothing(t *testing.T) {
	image := Command{Entrypoint: append(make([]string, 0, 8), "/entry"), Cmd: []string{"serve"}}
	one, _ := Argv(nil, []string{"one"}, image)
	two, _ := Argv(nil, []string{"two"}, image)
	assert.Equal(t, "one", one[1])
	assert.Equal(t, "two", two[1])
}
