package mesh

// The wrapper has to read two JSON values that others wrote. encoding/json would add 0.5 MB to
// it, so this scanner reads just as much of JSON as is needed. A value that it cannot read
// counts as absent.

// A value is a JSON value. The text of a string is what stands between its quotes; the text of
// any other value starts at its first byte.
type value struct {
	kind byte // first byte
	text string
}

// topLevel returns the value of a key of the object in text.
func topLevel(text, key string) (value, bool) {
	s := scanner{text: text}
	if !s.next('{') {
		return value{}, false
	}
	for {
		k, ok := s.quoted()
		if !ok || !s.next(':') {
			return value{}, false
		}
		s.space()
		start := s.pos
		if !s.skip(0) {
			return value{}, false
		}
		if k == key {
			v := value{kind: s.text[start], text: s.text[start:s.pos]}
			if v.kind == '"' {
				v.text = v.text[1 : len(v.text)-1]
			}
			return v, true
		}
		if !s.next(',') {
			return value{}, false
		}
	}
}

// Field returns a string at the top level of a JSON object, and "" where the object has no such
// string.
func Field(text, key string) string {
	if v, ok := topLevel(text, key); ok && v.kind == '"' {
		return v.text
	}
	return ""
}

// lists reports whether a JSON object has a list under key that holds the string name.
func lists(text, key, name string) bool {
	v, ok := topLevel(text, key)
	return ok && (&scanner{text: v.text}).listHas(name)
}

// A scanner reads JSON from the front of a text.
type scanner struct {
	text string
	pos  int
}

// maxDepth bounds the recursion on nested values from outside.
const maxDepth = 64

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next consumes the byte c, with white space before it, and reports whether it was there.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// quoted consumes a string and returns what stands between its quotes. Escapes are not decoded:
// no name that is looked for has one.
func (s *scanner) quoted() (string, bool) {
	if !s.next('"') {
		return "", false
	}
	start := s.pos
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case '\\':
			s.pos++
		case '"':
			s.pos++
			return s.text[start : s.pos-1], true
		}
		s.pos++
	}
	return "", false
}

// skip consumes one value of any kind.
func (s *scanner) skip(depth int) bool {
	s.space()
	if s.pos >= len(s.text) || depth > maxDepth {
		return false
	}
	switch s.text[s.pos] {
	case '"':
		_, ok := s.quoted()
		return ok
	case '[':
		s.pos++
		return s.skipMembers(']', depth, func() bool { return true })
	case '{':
		s.pos++
		return s.skipMembers('}', depth, func() bool {
			_, ok := s.quoted()
			return ok && s.next(':')
		})
	}
	start := s.pos
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return s.pos > start
		}
		s.pos++
	}
	return s.pos > start
}

// skipMembers consumes the members of a list or an object up to the closing bracket. The
// function key consumes what stands in front of each member's value.
func (s *scanner) skipMembers(closing byte, depth int, key func() bool) bool {
	if s.next(closing) {
		return true
	}
	for key() && s.skip(depth+1) {
		if s.next(closing) {
			return true
		}
		if !s.next(',') {
			return false
		}
	}
	return false
}

// listHas consumes a list and reports whether it contains the string want.
func (s *scanner) listHas(want string) bool {
	if !s.next('[') {
		return false
	}
	for {
		s.space()
		if s.pos < len(s.text) && s.text[s.pos] == '"' {
			if item, ok := s.quoted(); !ok || item == want {
				return ok
			}
		} else if !s.skip(0) {
			return false
		}
		if !s.next(',') {
			return false
		}
	}
}
