package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// extensions are those of the files that a folder is searched for.
var extensions = []string{".yaml", ".yml", ".json"}

// ours are files of jobmesh itself, which are no manifests.
var ours = []string{"jobmesh.lock.yaml", "jobmesh.yaml"}

// Stdin is the argument that stands for the standard input.
const Stdin = "-"

// Files returns the files that arguments stand for, in their order: of a folder all
// *.yaml, *.yml and *.json below it, sorted; left out are those in folders whose name
// begins with a dot, and jobmesh's own. A file named as such may have any name.
//
// The error joins one for each thing that cannot be read; files has all others.
func Files(args []string) (files []string, err error) {
	var failed []error
	seenStdin := false
	for _, arg := range args {
		if arg == Stdin {
			if seenStdin {
				failed = append(failed, fault.New(fault.Usage, fmt.Errorf("argument - is given twice, and stdin can be read once")))
				continue
			}
			seenStdin = true
			files = append(files, arg)
			continue
		}
		info, err := os.Stat(arg)
		if err != nil && strings.Contains(arg, "://") {
			failed = append(failed, fault.New(fault.Usage, fmt.Errorf("%s: addresses are not read", arg), "curl -fsSL "+arg+" | jobmesh ..., with - or nothing for the file"))
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found, wrong := below(arg)
		if len(found)+len(wrong) == 0 {
			wrong = []error{fault.New(fault.Usage, fmt.Errorf("folder %s: holds no %s", arg, "*"+strings.Join(extensions, ", *")))}
		}
		files, failed = append(files, found...), append(failed, wrong...)
	}
	return files, errors.Join(failed...)
}

func below(dir string) (files []string, failed []error) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil: // of a folder that cannot be read; those beside it can
			failed = append(failed, err)
			return nil
		case entry.IsDir():
			if path != dir && strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		case !slices.Contains(extensions, filepath.Ext(path)) || slices.Contains(ours, entry.Name()):
			return nil
		}
		// A link to a folder would have to be followed for ever; one to a file is a file.
		if info, err := os.Stat(path); err != nil {
			failed = append(failed, err)
		} else if info.Mode().IsRegular() {
			files = append(files, path)
		}
		return nil
	}) // only the function's errors, and it has none
	slices.Sort(files)
	return files, failed
}

// Read scans files one after the other; "-" is stdin. A file that cannot be opened
// comes as a document that has Err set. The error returned is that of visit.
func Read(files []string, stdin io.Reader, visit func(*Document) error) error {
	for _, name := range files {
		if err := readFile(name, stdin, visit); err != nil {
			return err
		}
	}
	return nil
}

func readFile(name string, stdin io.Reader, visit func(*Document) error) error {
	if name == Stdin {
		return Scan("stdin", stdin, visit)
	}
	f, err := os.Open(name)
	if err != nil {
		return visit(&Document{File: name, Err: err})
	}
	defer f.Close()
	return Scan(name, f, visit)
}
