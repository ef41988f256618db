// Command raise is the program that ci/release runs; that script says what it does.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/jobmesh/jobmesh/internal/changelog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("takes one argument, the version\nhint: ci/release 1.2.3")
	}
	version := args[0]
	now, err := today()
	if err != nil {
		return err
	}
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	current, err := os.ReadFile("VERSION")
	if err != nil {
		return err
	}
	dirty, err := output("git", "status", "--porcelain")
	if err != nil {
		return err
	}
	tags, err := output("git", "tag", "--list", "v*")
	if err != nil {
		return err
	}
	// All mistakes are found before anything is written.
	err = check(situation{
		current: strings.TrimSpace(string(current)), wanted: version,
		tags: strings.Fields(tags), dirty: strings.TrimRight(dirty, "\n"),
	})
	if err != nil {
		return err
	}
	moved, err := changelog.Move(string(changes), version, now)
	if err != nil {
		return fmt.Errorf("CHANGELOG.md: %w", err)
	}
	if err := errors.Join(os.WriteFile("VERSION", []byte(version+"\n"), 0o644), os.WriteFile("CHANGELOG.md", []byte(moved), 0o644)); err != nil {
		return err
	}
	if _, err := output("go", "run", "./ci/generate"); err != nil {
		return err
	}
	os.Unsetenv("SOURCE_DATE_EPOCH") // the image has to have the date that is now in CHANGELOG.md
	if err := pin(version); err != nil {
		return err
	}
	fmt.Printf(next, version)
	return nil
}

const next = `version %[1]s is written; nothing is committed yet. Next:
  git diff                                  look at it
  make lint build test
  git commit --all --message 'Release %[1]s'
  git tag --annotate v%[1]s --message 'jobmesh %[1]s'
  make release                              archives, checksums, SBOM and provenance in release/
  git push origin HEAD v%[1]s
  bin/jobmesh publish REGISTRY/PREFIX       image and charts
`

// today returns the date of the release: SOURCE_DATE_EPOCH, or that of the clock.
func today() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// A situation is what decides whether a version may be released.
type situation struct {
	current, wanted string
	tags            []string
	// dirty is git's list of uncommitted changes.
	dirty string
}

// form matches the version of a release, which pages and tags contain unchanged.
var form = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[a-z]+\.(0|[1-9][0-9]*))?$`)

// check refuses what must not be released.
func check(s situation) error {
	switch {
	case !form.MatchString(s.wanted):
		return fmt.Errorf("%q is not a version such as 1.2.3 or 1.2.3-rc.1", s.wanted)
	case semver.Compare("v"+s.wanted, "v"+s.current) <= 0:
		return fmt.Errorf("%s is not newer than %s, the version in VERSION", s.wanted, s.current)
	case slices.Contains(s.tags, "v"+s.wanted):
		return fmt.Errorf("tag v%s exists already\nhint: a version never changes once it has a tag: take the next one", s.wanted)
	case s.dirty != "":
		return fmt.Errorf("the working tree is not clean:\n%s\nhint: git stash --include-untracked, or commit first", s.dirty)
	}
	return nil
}

// pin writes image.digest. The image is that of the sources as they are now, with which make
// release compares it.
func pin(version string) error {
	dir, err := os.MkdirTemp("", "jobmesh-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	digest, err := output("go", "run", "./cmd/jobmesh", "build", "--output", dir)
	if err != nil {
		return err
	}
	old, err := os.ReadFile("image.digest")
	if err != nil {
		return err
	}
	return os.WriteFile("image.digest", pinned(old, version, strings.TrimSpace(digest)), 0o644)
}

// pinned keeps the comment at the start of the file and replaces the rest.
func pinned(old []byte, version, digest string) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(old) {
		if bytes.HasPrefix(line, []byte("#")) {
			out.Write(line)
		}
	}
	fmt.Fprintf(&out, "%s %s\n", version, digest)
	return out.Bytes()
}

// output runs a program and returns its standard output; its standard error is part of the
// error.
func output(program string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
