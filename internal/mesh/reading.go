package mesh

import (
	"slices"
	"strconv"
	"strings"
)

// A Reading says how a mesh reads the value of a label or an annotation.
type Reading int

// These are all readings.
const (
	// Text means that every value is valid.
	Text Reading = iota
	// Words means that only some exact values are valid.
	Words
	// GoBool means that Go's strconv.ParseBool reads the value: 1, t, true, 0, f, false and
	// some spellings with capitals.
	GoBool
	// Truthy means that the value is read as Dapr reads a flag (IsTruthy in dapr/kit): a few
	// words, in any case, mean yes, and every other value means no.
	Truthy
	// ButFalse means that every value but the exact word false means yes.
	ButFalse
)

var truthyWords = []string{"y", "yes", "true", "on", "1"}

// TruthyWords returns the words that Truthy reads as yes, in lower case.
func TruthyWords() []string { return slices.Clone(truthyWords) }

// Bool returns the meaning of a flag. The result known is false for a value that the mesh does
// not understand.
func (r Reading) Bool(value string) (yes, known bool) {
	switch r {
	case GoBool:
		yes, err := strconv.ParseBool(value)
		return yes, err == nil
	case Truthy:
		return slices.Contains(truthyWords, strings.ToLower(value)), true
	case ButFalse:
		return value != "false", value != "" // Istio's template reads an empty value as absent
	}
	return false, false
}

// Understood reports whether the mesh reads a value in the way that a person would.
func (w *Word) Understood(value string) bool {
	switch w.Read {
	case Words:
		for _, exact := range w.Exact {
			if value == exact {
				return true
			}
		}
		return false
	case GoBool:
		_, known := GoBool.Bool(value)
		return known
	case Truthy:
		switch strings.ToLower(value) {
		case "", "false", "no", "off", "0", "n":
			return true
		}
		yes, _ := Truthy.Bool(value)
		return yes
	case ButFalse:
		return value == "true" || value == "false"
	}
	return true
}
