package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A block is a fenced block in a page.
type block struct {
	line     int    // the line of its fence, from 1
	language string // the text behind the fence
	mark     string // the HTML comment directly in front, without its brackets
	text     string
}

// blocks returns the fenced blocks of a page, in their order.
func blocks(markdown string) []block {
	var found []block
	lines := strings.Split(markdown, "\n")
	for i := 0; i < len(lines); i++ {
		opening := strings.TrimLeft(lines[i], " ")
		if !strings.HasPrefix(opening, "```") {
			continue
		}
		indent := strings.Repeat(" ", len(lines[i])-len(opening))
		b := block{line: i + 1, language: strings.TrimLeft(opening, "`"), mark: markBefore(lines[:i])}
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
			b.text += strings.TrimPrefix(lines[i], indent) + "\n"
		}
		found = append(found, b)
	}
	return found
}

// markBefore returns the HTML comment that ends in the last one of the lines.
func markBefore(lines []string) string {
	if len(lines) == 0 || !strings.HasSuffix(lines[len(lines)-1], "-->") {
		return ""
	}
	for i := len(lines) - 1; i >= 0; i-- {
		if comment, opens := strings.CutPrefix(strings.TrimSpace(lines[i]), "<!--"); opens {
			comment = strings.Join(append([]string{comment}, lines[i+1:]...), " ")
			return strings.Join(strings.Fields(strings.TrimSuffix(comment, "-->")), " ")
		}
	}
	return ""
}

// A step is one action in the test of a page.
type step struct {
	line   int
	file   string   // where text goes; empty for commands
	text   string   // the file, or the commands
	exit   int      // exit code of the commands
	output *string  // what they print; nil where the page does not show it
	partOf string   // the file of the repository that contains the text
	helm   string   // the only Helm that it is run with, as in helm4; empty for any
	tools  []string // the programs that it needs and that only make e2e has
}

var (
	fileName = regexp.MustCompile(`\A# (\S*\.\S+)\n`)
	exitMark = regexp.MustCompile(`^exit code (\d+)$`)
	helmMark = regexp.MustCompile(`^with Helm ([34])$`)
	toolMark = regexp.MustCompile(`^with ([a-z]+(?:, [a-z]+)*)$`)
)

// steps returns the action for each block. It is an error if the page does not say which one.
func steps(found []block) ([]step, error) {
	var all []step
	shown := map[string]bool{}
	for _, b := range found {
		wrong := func(format string, args ...any) ([]step, error) {
			return nil, fmt.Errorf("line %d: %s", b.line, fmt.Sprintf(format, args...))
		}
		if reason, skipped := strings.CutPrefix(b.mark, "not run:"); skipped {
			if strings.TrimSpace(reason) == "" {
				return wrong("the block is not run, and there is no reason why")
			}
			continue
		}
		if b.mark == "printed" {
			if len(all) == 0 || all[len(all)-1].file != "" {
				return wrong("nothing ran before the block that was printed")
			}
			all[len(all)-1].output = &b.text
			continue
		}
		if whole, fragment := strings.CutPrefix(b.mark, "part of "); fragment {
			all = append(all, step{line: b.line, partOf: whole, text: b.text})
			continue
		}
		exit, helm := 0, ""
		var needed []string
		if m := toolMark.FindStringSubmatch(b.mark); m != nil {
			needed = strings.Split(m[1], ", ")
		} else if m := helmMark.FindStringSubmatch(b.mark); m != nil {
			helm = "helm" + m[1]
		} else if m := exitMark.FindStringSubmatch(b.mark); m != nil {
			exit, _ = strconv.Atoi(m[1]) // the expression only matches digits
		} else if b.mark != "" {
			return wrong("mark %q is unknown", b.mark)
		}
		name := fileName.FindStringSubmatch(b.text)
		switch {
		case b.language == "sh":
			all = append(all, step{line: b.line, text: b.text, exit: exit, helm: helm, tools: needed})
		case b.language == "console":
			typed := sessions(b, exit)
			if len(typed) == 0 {
				return wrong("the block runs nothing")
			}
			all = append(all, typed...)
		case name != nil:
			if shown[name[1]] {
				return wrong("%s is shown twice", name[1])
			}
			shown[name[1]] = true
			all = append(all, step{line: b.line, file: name[1], text: b.text})
		default:
			return wrong("the block is no file, no command and nothing that was printed")
		}
	}
	return all, nil
}

// sessions returns the commands of a block that shows their output. The exit code is that of
// the last one.
func sessions(b block, exit int) []step {
	var all []step
	for i, line := range strings.SplitAfter(b.text, "\n") {
		if command, prompt := strings.CutPrefix(line, "$ "); prompt {
			all = append(all, step{line: b.line + 1 + i, text: command, output: new(string)})
		} else if len(all) > 0 {
			*all[len(all)-1].output += line
		}
	}
	if len(all) > 0 {
		all[len(all)-1].exit = exit
	}
	return all
}

// script returns the page as one script, so that variables and the working directory last from
// block to block. The output of step N goes to out/N, and the file at has the number of the
// running step.
func script(before string, all []step, after string) string {
	var s strings.Builder
	s.WriteString("set -euo pipefail\n")
	write := func(n int, commands string, exit int) {
		fmt.Fprintf(&s, "echo %d >\"$RUN/at\"\n", n)
		if exit == 0 {
			fmt.Fprintf(&s, "{\n%s} >\"$RUN/out/%d\" 2>&1\n", commands, n)
		} else {
			fmt.Fprintf(&s, "set +e; (set -e\n%s) >\"$RUN/out/%d\" 2>&1; code=$?; set -e\n[ $code = %d ] || { echo \"exit code $code, want %d\" >>\"$RUN/out/%d\"; exit 1; }\n",
				commands, n, exit, exit, n)
		}
	}
	write(0, "true\n"+before+"\n", 0)
	for i, step := range all {
		switch {
		case step.partOf != "":
			continue
		case step.file == "":
			write(i+1, step.text, step.exit)
		default:
			fmt.Fprintf(&s, "mkdir -p '%s'\ncat >'%s' <<'end of the block'\n%send of the block\n", filepath.Dir(step.file), step.file, step.text)
		}
	}
	write(len(all)+1, "true\n"+after+"\n", 0)
	return s.String()
}

var (
	duration = regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs|s)\b`)
	wholes   = regexp.MustCompile(`(?m)^ *\\\.\\\.\\\.\n`)
)

// like returns a pattern for what a page shows: "..." stands for any text on its line, or for
// any lines where it is alone on its line, and any duration matches another one.
func like(shown string) string {
	pattern := regexp.QuoteMeta(duration.ReplaceAllString(shown, "1s"))
	pattern = wholes.ReplaceAllString(pattern, `(?:.*\n)*?`)
	return strings.ReplaceAll(pattern, `\.\.\.`, `.*`)
}

// differs says whether the page shows something else than it should: for a command that is its
// output printed, and for a file the text in the repository.
func differs(step step, printed string) bool {
	matches := func(pattern, text string) bool {
		return regexp.MustCompile(pattern).MatchString(duration.ReplaceAllString(text, "1s"))
	}
	if step.partOf != "" {
		return !matches(`(?m)^`+like(step.text), read(sources, step.partOf))
	}
	return step.output != nil && !matches(`\A`+like(*step.output)+`\z`, printed)
}

// read returns the content of a file, and "" where there is none.
func read(path ...string) string {
	text, _ := os.ReadFile(filepath.Join(path...)) // the content is compared
	return string(text)
}
