package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/wrap"
)

const messagesFolder = "docs/messages/"

// messagePages returns pages that list the messages of the programs and of the chart when
// something is wrong. The texts are read from the sources.
func messagePages() []output {
	return []output{
		whole(messagesFolder+"cli.md", "the errors in internal", cliMessages),
		whole(messagesFolder+"wrapper.md", "the events in internal/wrap", wrapperMessages),
		whole(messagesFolder+"chart.md", "the errors in "+chart+"/templates", chartMessages),
	}
}

// A message is a text that users may see, with the hints beside it in the sources.
type message struct {
	text  string // with gap in place of the parts that are known only at run time
	hints []string
	group string // an exit code of jobmesh, or an event of the wrapper
}

// gap stands in place of a name, a number or a cause.
const gap = "…"

// writeMessages writes a part of a page, with a heading for each message, so that each message
// has an anchor and can be searched for.
func writeMessages(b *strings.Builder, title, introduction string, messages []message) {
	fmt.Fprintf(b, "\n## %s\n", title)
	if introduction != "" {
		fmt.Fprintf(b, "\n%s\n", introduction)
	}
	for _, m := range merged(messages) {
		fmt.Fprintf(b, "\n### `%s`\n", m.text)
		if len(m.hints) > 0 {
			b.WriteString("\nWhat to do:\n\n")
		}
		for _, hint := range m.hints {
			fmt.Fprintf(b, "- `%s`\n", hint)
		}
	}
}

// merged returns each text once, in order, with the hints of all its occurrences.
func merged(messages []message) []message {
	for i := range messages {
		messages[i].text = strings.TrimSpace(messages[i].text)
	}
	slices.SortStableFunc(messages, func(a, b message) int { return strings.Compare(sortable(a.text), sortable(b.text)) })
	var all []message
	for _, m := range messages {
		if n := len(all); n > 0 && all[n-1].text == m.text {
			m.hints = append(all[n-1].hints, m.hints...)
			all = all[:n-1]
		}
		var once []string
		for _, hint := range m.hints {
			if !slices.Contains(once, hint) && strings.Trim(hint, gap+" :") != "" {
				once = append(once, hint)
			}
		}
		m.hints = once
		all = append(all, m)
	}
	return all
}

func sortable(text string) string { return strings.TrimLeft(strings.ToLower(text), gap+" :\"") }

// says reports whether a text is more than its gaps.
func says(text string) bool { return len(strings.Fields(strings.ReplaceAll(text, gap, ""))) >= 3 }

func cliMessages() ([]byte, error) {
	var all []message
	err := eachFile("internal", func(file *ast.File, constants map[string]string) {
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok && calls(call.Fun, "fault", "New") && len(call.Args) >= 2 {
				m := message{text: errorText(call.Args[1], constants)}
				if code, ok := call.Args[0].(*ast.SelectorExpr); ok {
					m.group = code.Sel.Name
				}
				for _, hint := range call.Args[2:] {
					m.hints = append(m.hints, textOf(hint, constants))
				}
				if says(m.text) {
					all = append(all, m)
				}
			}
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# What jobmesh says when something is wrong\n\n" +
		"By exit code. `" + gap + "` stands for a name, a number or a cause. What `jobmesh lint` finds in\n" +
		"manifests is in [the rules](../rules/README.md), every flag in [the command line](../cli.md).\n")
	numbers, err := faultCodes()
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].group = numbers[all[i].group] // it is empty where a variable has the code
	}
	for _, code := range fault.Codes {
		number := strconv.Itoa(code.Code)
		of := slices.DeleteFunc(slices.Clone(all), func(m message) bool { return m.group != number })
		if len(of) > 0 {
			writeMessages(&b, "Exit code "+number, upperFirst(code.Meaning)+".", of)
		}
	}
	return []byte(b.String()), nil
}

// faultCodes returns the numbers of the exit codes, keyed by their names in internal/fault.
func faultCodes() (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "internal/fault/fault.go", nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	numbers := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if constant, ok := node.(*ast.ValueSpec); ok && len(constant.Values) == 1 {
			if number, ok := constant.Values[0].(*ast.BasicLit); ok && number.Kind == token.INT {
				numbers[constant.Names[0].Name] = number.Value
			}
		}
		return true
	})
	return numbers, nil
}

func wrapperMessages() ([]byte, error) {
	var all []message
	err := eachFile("internal/wrap", func(file *ast.File, constants map[string]string) {
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := map[string]ast.Expr{}
			for _, element := range literal.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						fields[key.Name] = pair.Value
					}
				}
			}
			if fields["severity"] == nil || fields["text"] == nil || textOf(fields["severity"], nil) == "info" {
				return true
			}
			m := message{text: textOf(fields["text"], constants), group: textOf(fields["name"], constants)}
			if hint := fields["hint"]; hint != nil {
				m.hints = []string{textOf(hint, constants)}
			}
			if says(m.text) {
				all = append(all, m)
			}
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# What jobmesh-wrap says when something is wrong\n\n" +
		"In the log of the Job's container, behind `jobmesh-wrap: warning:` or `jobmesh-wrap: error:`.\n" +
		"By event, which is a field of the log in JSON. `" + gap + "` stands for a name, a number or a cause.\n" +
		"Exit codes and flags: [the wrapper](../wrapper.md).\n")
	for _, event := range wrap.Events {
		of := slices.DeleteFunc(slices.Clone(all), func(m message) bool { return m.group != event.Name })
		if len(of) > 0 {
			writeMessages(&b, "`"+event.Name+"`", upperFirst(event.Meaning)+".", of)
		}
	}
	return []byte(b.String()), nil
}

// collected matches the calls of the chart's collector of errors that contain the text.
var collected = regexp.MustCompile(`"jobmesh\._errors\.add" \(list \$call (?:\(printf )?("(?:[^"\\]|\\.)*")`)

func chartMessages() ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*.tpl"))
	if err != nil {
		return nil, err
	}
	var all []message
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range collected.FindAllStringSubmatch(string(text), -1) {
			said, err := strconv.Unquote(m[1])
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, m[1], err)
			}
			all = append(all, message{text: filled(said)})
		}
	}
	var b strings.Builder
	b.WriteString("# What the chart says when something is wrong\n\n" +
		"As an error of `helm template`, `helm install` and `jobmesh inject`, behind the file and the object.\n" +
		"`" + gap + "` stands for a name or a value; the end of a sentence says what to do. Values and\n" +
		"templates: [the library chart](../chart.md).\n")
	writeMessages(&b, "Errors", "", all)
	return []byte(b.String()), nil
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// eachFile parses the Go files below a folder, except tests. The constants are those of the
// file's package.
func eachFile(root string, visit func(*ast.File, map[string]string)) error {
	var files []string
	err := filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	parsed := map[string]*ast.File{}
	constants := map[string]map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed[name] = file
		folder := path.Dir(filepath.ToSlash(name))
		if constants[folder] == nil {
			constants[folder] = map[string]string{}
		}
		keepConstants(file, constants[folder])
	}
	for _, name := range files {
		visit(parsed[name], constants[path.Dir(filepath.ToSlash(name))])
	}
	return nil
}

func keepConstants(file *ast.File, to map[string]string) {
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			for i := range min(len(value.Names), len(value.Values)) {
				if text := textOf(value.Values[i], to); strings.Trim(text, gap) != "" {
					to[value.Names[i].Name] = text
				}
			}
		}
	}
}

// calls reports whether an expression is the function with that package and name.
func calls(function ast.Expr, of, name string) bool {
	selector, ok := function.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == of
}

// errorText returns the text of an error that is created in the expression, and "" for one from
// elsewhere.
func errorText(made ast.Expr, constants map[string]string) string {
	call, ok := made.(*ast.CallExpr)
	if ok && len(call.Args) > 0 && (calls(call.Fun, "fmt", "Errorf") || calls(call.Fun, "errors", "New")) {
		return textOf(call.Args[0], constants)
	}
	return ""
}

// textOf returns the text of a string expression, with a gap for each part that is not a
// constant.
func textOf(expression ast.Expr, constants map[string]string) string {
	switch e := expression.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return filled(text)
		}
	case *ast.BinaryExpr:
		return strings.ReplaceAll(textOf(e.X, constants)+textOf(e.Y, constants), gap+gap, gap)
	case *ast.ParenExpr:
		return textOf(e.X, constants)
	case *ast.Ident:
		if text := constants[e.Name]; text != "" {
			return text
		}
		if constants == nil {
			return e.Name
		}
	case *ast.CallExpr:
		if calls(e.Fun, "fmt", "Sprintf") && len(e.Args) > 0 {
			return textOf(e.Args[0], constants)
		}
	}
	return gap
}

var (
	verbs  = regexp.MustCompile(`%(%|[-+#0]*[\d.*]*[a-zA-Z])`)
	spaces = regexp.MustCompile(`\s+`)
)

// filled returns a format on one line, with a gap for each of its verbs. Backquotes around
// names would end the code span in which the message is shown.
func filled(format string) string {
	text := verbs.ReplaceAllStringFunc(strings.ReplaceAll(format, "`", "'"), func(verb string) string {
		if verb == "%%" {
			return "%"
		}
		return gap
	})
	return spaces.ReplaceAllString(text, " ")
}
