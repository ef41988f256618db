// Package figures reads docs/pictures/figures.yaml: measured figures with their sources. The
// pictures of the documentation are drawn from it, and make bench prints the figures of the
// wrapper's peers beside its own.
package figures

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is the path of the figures relative to the root of the repository.
const File = "docs/pictures/figures.yaml"

// Figures are all figures in the file.
type Figures struct {
	Life struct {
		Title, Source string
		Seconds       float64 // the length of the time line
		Pods          []Pod
	}
	Decision struct {
		Title     string
		Questions []struct{ Ask, Yes, No string } // one of yes and no leads to an answer
	}
	Policy struct {
		Title string
		Steps []struct{ Who, Does string }
	}
	Bars struct {
		Title, Source string
		Charts        []Chart
	}
}

// A Pod is the course of one pod, in seconds since its Job was created.
type Pod struct {
	Name  string
	Parts []struct {
		Lane     string
		From, To float64
		Ends     string // "never", or empty
	}
	Complete float64 // 0 for a Job that never completes
	End      string  // the words for the end of such a Job
}

// A Chart compares one figure of several programs. The first program is the wrapper.
type Chart struct {
	ID, Name string
	Rows     []struct {
		Who   string
		Value float64
	}
}

// Read returns the figures of the repository at root.
func Read(root string) (Figures, error) {
	var f Figures
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(File)))
	if err != nil {
		return f, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", File, err)
	}
	if len(f.Life.Pods) == 0 || len(f.Decision.Questions) == 0 || len(f.Bars.Charts) == 0 {
		return f, fmt.Errorf("%s: has no figures", File)
	}
	return f, nil
}

// Peers returns the figures of the wrapper's peers in one chart, on one line.
func (f Figures) Peers(id string) (string, error) {
	for _, chart := range f.Bars.Charts {
		if chart.ID != id || len(chart.Rows) == 0 {
			continue
		}
		var peers []string
		for _, row := range chart.Rows[1:] {
			peers = append(peers, fmt.Sprintf("%s %g", row.Who, row.Value))
		}
		return strings.Join(peers, ", "), nil
	}
	return "", fmt.Errorf("%s: has no chart %q", File, id)
}
