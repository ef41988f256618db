package foreign

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecode(t *testing.T) {
	var list []struct{}
	require.NoError(t, Decode([]byte("["+strings.Repeat("{},", 1000)+"{}]"), &list))
	assert.Len(t, list, 1001)
	assert.ErrorContains(t, Decode([]byte("["+strings.Repeat("{},", MaxValues)+"{}]"), &list), "has more than 65536 values")
	assert.ErrorContains(t, Decode([]byte(strings.Repeat("[", MaxValues+1)), &list), "has more than 65536 values")
	assert.Error(t, Decode([]byte("{"), &list))
}
