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
	"github.com/jobmesh/jobmesh/internal/lockfile"
)

// extensions are those of the files that a folder is searched for.
var extensions = []string{".yaml", ".yml", ".json"}

// ours are the names of files that configure jobmesh itself. They are not manifests.
var ours = []string{lockfile.FileName, SettingsFile}

// SettingsFile is what people keep their settings of jobmesh in, in the folder that they
// work in.
const SettingsFile = "jobmesh.yaml"

// Stdin is the argument that stands for the standard input.
const Stdin = "-"

// Files returns the files that the arguments name, in the order of the arguments. A folder
// stands for every *.yaml, *.yml and *.json file below it, sorted, except those in folders
// whose name begins with a dot and the files that configure jobmesh. A file that is an
// argument itself may have any name.
//
// The error joins one error for each argument that cannot be read; the files returned are
// those of all other arguments.
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
		// A link to a file is read as a file. One to a folder is not followed, because it
		// may lead back to a folder above it.
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

// Read scans files one after the other; "-" is stdin. For a file that cannot be opened
// visit gets a document that has Err set. The error returned is the first one that visit
// returns.
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
