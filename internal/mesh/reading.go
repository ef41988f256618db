package mesh

import (
	"slices"
	"strconv"
	"strings"
)

// A Reading is how a mesh understands the value of a label or an annotation.
type Reading int

// The readings.
const (
	// Text is a value of which every text is right.
	Text Reading = iota
	// Words is one of some exact words.
	Words
	// GoBool is what Go's strconv.ParseBool reads: 1, t, true, 0, f, false and some
	// spellings with capitals.
	GoBool
	// Truthy is how Dapr reads a flag (IsTruthy in dapr/kit): a few words, in any
	// case, are yes, and everything else is no.
	Truthy
	// ButFalse is yes for every text but the exact word false.
	ButFalse
)

var truthyWords = []string{"y", "yes", "true", "on", "1"}

// TruthyWords are the words that Truthy takes for yes, in small letters.
func TruthyWords() []string { return slices.Clone(truthyWords) }

// Bool reads a flag. known is false for a value that the mesh does not understand.
func (r Reading) Bool(value string) (yes, known bool) {
	switch r {
	case GoBool:
		yes, err := strconv.ParseBool(value)
		return yes, err == nil
	case Truthy:
		return slices.Contains(truthyWords, strings.ToLower(value)), true
	case ButFalse:
		return value != "false", value != "" // Istio's template takes an empty value for absent
	}
	return false, false
}

// Understood reports whether a value is one that a person would take as the mesh does.
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
