package main

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/ci/figures"
)

const picturesFolder = "docs/pictures/"

// pictures returns the pictures that are drawn from figures.yaml beside them. Each has a title
// and a text for readers who do not see it.
func pictures() []output {
	var all []output
	for _, p := range []struct {
		name string
		draw func(figures.Figures) *drawing
	}{{"life", drawLife}, {"decision", drawDecision}, {"policy", drawPolicy}, {"bars", drawBars}} {
		all = append(all, whole(picturesFolder+p.name+".svg", figures.File, func() ([]byte, error) {
			f, err := figures.Read(".")
			if err != nil {
				return nil, err
			}
			return p.draw(f).svg(), nil
		}))
	}
	return all
}

// A drawing is an unfinished picture. It is narrow enough to be read on a telephone.
type drawing struct {
	title, describes string
	shapes           strings.Builder
	y                float64
}

const pictureWidth = 440

// style has the colours for light and dark mode. The picture has its own background, so that it
// can be read on any page.
const style = `
  svg { font: 13px system-ui, sans-serif; }
  .back { fill: #f3f5f8; } .text { fill: #14181f; } .head { font-weight: 600; } .soft { fill: #4d5562; }
  .proxy { fill: #9a6700; } .wrapper { fill: #0a4bbd; } .command { fill: #1a7f37; } .peer { fill: #6b7280; }
  .line { stroke: #4d5562; fill: none; } .box { fill: #ffffff; stroke: #8b94a3; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #202329; } .text { fill: #e6e9ee; } .soft { fill: #aab2bf; }
    .proxy { fill: #e0a82e; } .wrapper { fill: #8ab4ff; } .command { fill: #4ac26b; } .peer { fill: #9aa3b2; }
    .line { stroke: #aab2bf; } .box { fill: #2b2f37; stroke: #78818f; }
  }
`

func (d *drawing) svg() []byte {
	height := d.y + 14
	return []byte(fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img" aria-labelledby="title desc">
<title id="title">%s</title>
<desc id="desc">%s</desc>
<style>%s</style>
<rect class="back" width="100%%" height="100%%" rx="8"/>
%s</svg>
`, pictureWidth, height, pictureWidth, height, html.EscapeString(d.title), html.EscapeString(d.describes), style, d.shapes.String()))
}

func (d *drawing) text(x, y float64, class, text string) {
	fmt.Fprintf(&d.shapes, "<text class=\"text %s\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", class, x, y, html.EscapeString(text))
}

func (d *drawing) bar(x, y, width, height float64, class string) {
	fmt.Fprintf(&d.shapes, "<rect class=\"%s\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\" rx=\"3\"/>\n", class, x, y, max(width, 2), height)
}

func (d *drawing) line(path string) {
	fmt.Fprintf(&d.shapes, "<path class=\"line\" d=\"%s\"/>\n", path)
}

// tell adds a sentence for readers who do not see the picture.
func (d *drawing) tell(format string, arguments ...any) {
	d.describes = strings.TrimSpace(d.describes + " " + fmt.Sprintf(format, arguments...))
}

func drawLife(f figures.Figures) *drawing {
	d := &drawing{title: f.Life.Title, y: 8}
	const left, right = 84.0, pictureWidth - 16.0
	at := func(second float64) float64 { return left + (right-left)*second/f.Life.Seconds }
	for _, pod := range f.Life.Pods {
		d.y += 20
		d.text(16, d.y, "head", pod.Name)
		d.y += 8
		for _, part := range pod.Parts {
			to := part.To
			if part.Ends == "never" {
				to = f.Life.Seconds
				d.line(fmt.Sprintf("M%.0f %.0f l6 6 l-6 6", right+2, d.y+1))
			}
			d.text(16, d.y+12, "soft", part.Lane)
			d.bar(at(part.From), d.y+2, at(to)-at(part.From), 10, part.Lane)
			d.y += 18
		}
		end := pod.End
		if pod.Complete > 0 {
			end = fmt.Sprintf("Complete after %.2f s", pod.Complete)
			x := at(pod.Complete)
			d.line(fmt.Sprintf("M%.1f %.0f V%.0f", x, d.y-18*float64(len(pod.Parts)), d.y+2))
		}
		d.text(left, d.y+14, "soft", end)
		d.y += 20
		d.tell("%s: %s.", upperFirst(pod.Name), end)
	}
	d.y += 14
	d.line(fmt.Sprintf("M%.0f %.0f H%.0f", left, d.y, right))
	for second := 0.0; second <= f.Life.Seconds; second++ {
		d.line(fmt.Sprintf("M%.1f %.0f v4", at(second), d.y))
		d.text(at(second)-4, d.y+18, "soft", fmt.Sprintf("%.0f", second))
	}
	d.text(16, d.y+18, "soft", "seconds")
	d.y += 22
	return d
}

func drawDecision(f figures.Figures) *drawing {
	d := &drawing{title: f.Decision.Title, y: 14}
	for i, q := range f.Decision.Questions {
		word, answer, on := "yes", q.Yes, "no"
		if q.No != "" {
			word, answer, on = "no", q.No, "yes"
		}
		d.bar(16, d.y, pictureWidth-32, 30, "box")
		d.text(28, d.y+20, "head", fmt.Sprintf("%d. %s", i+1, q.Ask))
		d.y += 30
		d.line(fmt.Sprintf("M96 %.0f v14 h8 m-4 -4 l4 4 l-4 4", d.y))
		d.text(66, d.y+18, "soft", word)
		d.text(112, d.y+18, "", answer)
		if i < len(f.Decision.Questions)-1 {
			d.line(fmt.Sprintf("M36 %.0f v32 m-4 -5 l4 5 l4 -5", d.y))
			d.text(42, d.y+31, "soft", on)
		}
		d.y += 34
		d.tell("%d. %s If %s: %s.", i+1, q.Ask, word, answer)
	}
	d.y -= 12
	return d
}

// drawPolicy draws a line for each step; the three policies are highlighted.
func drawPolicy(f figures.Figures) *drawing {
	d := &drawing{title: f.Policy.Title, y: 14}
	for i, step := range f.Policy.Steps {
		class := "soft"
		if slices.Contains([]string{"tell", "wrap", "nativize"}, step.Who) {
			class = "head"
			d.bar(16, d.y, 4, 26, "wrapper")
		}
		d.bar(24, d.y, 108, 26, "box")
		d.text(34, d.y+18, class, step.Who)
		d.text(144, d.y+18, "", step.Does)
		d.y += 26
		if i < len(f.Policy.Steps)-1 {
			d.line(fmt.Sprintf("M78 %.0f v12 m-4 -5 l4 5 l4 -5", d.y))
			d.y += 14
		}
		d.tell("%s %s.", upperFirst(step.Who), step.Does)
	}
	return d
}

func drawBars(f figures.Figures) *drawing {
	d := &drawing{title: f.Bars.Title, y: 6}
	const left, right = 120.0, pictureWidth - 60.0
	for _, chart := range f.Bars.Charts {
		largest := 0.0
		for _, row := range chart.Rows {
			largest = max(largest, row.Value)
		}
		d.y += 22
		d.text(16, d.y, "head", chart.Name)
		d.y += 6
		var told []string
		for i, row := range chart.Rows {
			class := "peer"
			if i == 0 {
				class = "wrapper"
			}
			width := (right - left) * row.Value / largest
			d.text(16, d.y+13, "soft", row.Who)
			d.bar(left, d.y+3, width, 11, class)
			d.text(left+max(width, 2)+6, d.y+13, "", fmt.Sprintf("%g", row.Value))
			d.y += 19
			told = append(told, fmt.Sprintf("%s %g", row.Who, row.Value))
		}
		d.tell("%s: %s.", upperFirst(chart.Name), strings.Join(told, ", "))
	}
	return d
}

// measuredPage returns the page with the pictures of what was measured, and with the figures as
// tables.
func measuredPage() ([]byte, error) {
	f, err := figures.Read(".")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# What it costs\n\n`make e2e` and `make bench` measure again on your machine. Compare rows, not machines.\n")
	fmt.Fprintf(&b, "\n## %s\n\n![%s: the same figures as in the table](pictures/life.svg)\n\n", f.Life.Title, f.Life.Title)
	fmt.Fprintf(&b, "The ends are %s. Where the parts before them begin is drawn so that their order can\nbe seen. A kubelet looks at its containers once a second.\n\n", f.Life.Source)
	b.WriteString("| pod | from create to Complete |\n| --- | --- |\n")
	for _, pod := range f.Life.Pods {
		end := pod.End
		if pod.Complete > 0 {
			end = fmt.Sprintf("%.2f s", pod.Complete)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", cell(pod.Name), cell(end))
	}
	fmt.Fprintf(&b, "\n## %s\n\n![%s: the same figures as in the table](pictures/bars.svg)\n\nSource: %s.\n\n", f.Bars.Title, f.Bars.Title, f.Bars.Source)
	b.WriteString("| program |")
	for _, chart := range f.Bars.Charts {
		fmt.Fprintf(&b, " %s |", cell(chart.Name))
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(f.Bars.Charts)+1) + "\n")
	for i, row := range f.Bars.Charts[0].Rows {
		fmt.Fprintf(&b, "| %s |", row.Who)
		for _, chart := range f.Bars.Charts {
			if i >= len(chart.Rows) || chart.Rows[i].Who != row.Who {
				return nil, fmt.Errorf("%s: %q has not the programs of the first chart", figures.File, chart.Name)
			}
			fmt.Fprintf(&b, " %g |", chart.Rows[i].Value)
		}
		b.WriteString("\n")
	}
	b.WriteString("\nThe time around a command is that from its start to its end, less that of a direct start:\nthe proxy is ready, is waited for, and is stopped.\n")
	return []byte(b.String()), nil
}
