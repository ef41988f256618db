package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// maxText is the longest document that is read: the API server takes no object
// above 3 MiB; a List of many has to fit, and its nodes take some fifty times its size.
const maxText = 16 << 20

// Scan reads a stream and calls visit with each document, in order. It keeps one
// document in memory. A document that cannot be read has Err set, and the next one
// follows; after a failure of the reader itself there is no next one. The error
// returned is that of visit.
func Scan(file string, r io.Reader, visit func(*Document) error) error {
	s := &splitter{file: file, in: bufio.NewReaderSize(r, 1<<16), line: 1, visit: visit}
	head, _ := s.in.Peek(8 << 10)
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return visit(s.broken(0, "is UTF-16; convert it to UTF-8, as with iconv -f UTF-16 -t UTF-8"))
	case bytes.IndexByte(head, 0) >= 0:
		return visit(s.broken(0, "is a binary file, not a manifest"))
	}
	return s.run()
}

// A splitter cuts a stream where the YAML specification does: at --- and after ...
// at the start of a line. No scalar can contain such a line, quoted or not.
type splitter struct {
	file   string
	in     *bufio.Reader
	visit  func(*Document) error
	number int
	// offset and line are where text begins.
	offset int64
	line   int
	text   []byte
	// content and directives say what text has so far, besides comments.
	content, directives, ended bool
}

func (s *splitter) run() error {
	start := true // of a line; a long one comes in pieces
	for {
		piece, err := s.in.ReadSlice('\n')
		if start && len(piece) > 0 {
			opens := isMarker(piece, "---")
			// Directives belong to the separator that follows them.
			if cut := s.ended || opens && !(s.directives && !s.content); cut && len(s.text) > 0 {
				if err := s.flush(); err != nil {
					return err
				}
			}
			s.note(piece, opens)
		}
		s.text = append(s.text, piece...)
		if len(s.text) > maxText {
			s.number++
			return s.visit(s.broken(s.line, fmt.Sprintf("a document of more than %d MiB is too long", maxText>>20)))
		}
		start = err == nil
		if err == nil || errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !errors.Is(err, io.EOF) {
			return s.visit(&Document{File: s.file, Err: err})
		}
		if len(s.text) > 0 {
			return s.flush()
		}
		return nil
	}
}

// note remembers which kind of line the text has had.
func (s *splitter) note(line []byte, opens bool) {
	switch {
	case opens:
		s.content = true
	case isMarker(line, "..."):
		s.ended = true
	case !s.content && line[0] == '%':
		s.directives = true
	case !s.content:
		rest := bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
		s.content = len(rest) > 0 && rest[0] != '#'
	}
}

// isMarker reports whether a line is a separator: the three characters, with nothing or
// white space behind them.
func isMarker(line []byte, marker string) bool {
	line = bytes.TrimPrefix(line, byteOrderMark)
	if !bytes.HasPrefix(line, []byte(marker)) {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\r' || line[3] == '\n'
}

// flush hands the collected text over.
func (s *splitter) flush() error {
	text := s.text
	s.text, s.content, s.directives, s.ended = nil, false, false, false
	ends := jsonEnds(text)
	if len(ends) == 0 {
		return s.emit(text, false)
	}
	from := 0
	for i, end := range ends {
		if i == len(ends)-1 {
			end = len(text)
		}
		if err := s.emit(text[from:end:end], true); err != nil {
			return err
		}
		from = end
	}
	return nil
}

func (s *splitter) emit(text []byte, isJSON bool) error {
	s.number++
	d := &Document{File: s.file, Number: s.number, Offset: s.offset, Line: s.line, Text: text, JSON: isJSON}
	s.offset += int64(len(text))
	s.line += bytes.Count(text, []byte("\n"))
	d.parse()
	return s.visit(d)
}

func (s *splitter) broken(line int, cause string) *Document {
	return &Document{File: s.file, Number: s.number, Line: line, Err: &Error{File: s.file, Line: line, Cause: cause}}
}

// jsonStart matches what may stand before a value of JSON in a stream.
var jsonStart = regexp.MustCompile(`^(?:\x{feff})?(?:---[ \t]*\r?\n(?:\x{feff})?)?[ \t\r\n]*[{\[]`)

// jsonEnds returns where each JSON value of a text ends. It returns none where the text is
// not JSON from its beginning to its end. Values need no separator between them.
func jsonEnds(text []byte) []int {
	match := jsonStart.Find(text)
	if match == nil {
		return nil
	}
	start := len(match) - 1
	var ends []int
	for dec := json.NewDecoder(bytes.NewReader(text[start:])); ; {
		var value json.RawMessage
		err := dec.Decode(&value)
		if errors.Is(err, io.EOF) {
			return ends
		}
		if err != nil {
			return nil
		}
		ends = append(ends, start+int(dec.InputOffset()))
	}
}

// AsJSON returns the value of a document in JSON, without what stands before it.
func (d *Document) AsJSON() []byte {
	return d.Text[max(0, len(jsonStart.Find(d.Text))-1):]
}
