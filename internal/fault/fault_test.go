package fault

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestJoin(t *testing.T) {
	assert.NoError(t, Join(nil, "a hint for nothing"))
	network := New(Registry, errors.New("one"), "try again")
	usage := New(Usage, errors.New("two"), "read the manual", "try again")
	pinned := New(Input, errors.New("three"))
	for _, c := range []struct {
		errs []error
		code int
		text string
	}{
		{[]error{network}, Registry, "one"},
		{[]error{usage, network}, Registry, "two\none"},
		{[]error{network, pinned}, Input, "one\nthree"},
		{[]error{usage, errors.New("plain")}, LocalIO, "two\nplain"},
	} {
		err := Join(c.errs, "last")
		assert.Equal(t, c.code, Code(err))
		assert.EqualError(t, err, c.text)
	}
	assert.Equal(t, []string{"try again", "read the manual", "last"}, Hints(Join([]error{network, usage}, "last", "try again")))
}
