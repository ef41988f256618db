package main

import (
	"encoding/xml"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each picture is valid XML, describes itself to readers who do not see it, and keeps its text
// inside.
func TestPictures(t *testing.T) {
	t.Chdir("../..")
	for _, picture := range pictures() {
		t.Run(picture.path, func(t *testing.T) {
			text, err := picture.edit(nil)
			require.NoError(t, err)
			var svg struct {
				Title string `xml:"title"`
				Desc  string `xml:"desc"`
				Texts []struct {
					X    float64 `xml:"x,attr"`
					Text string  `xml:",chardata"`
				} `xml:"text"`
			}
			require.NoError(t, xml.Unmarshal(text, &svg))
			assert.NotEmpty(t, svg.Title)
			assert.NotEmpty(t, svg.Desc)
			assert.NotEmpty(t, svg.Texts)
			for _, text := range svg.Texts {
				const letter = 7.5 // pixels, the average width of a letter at this size
				assert.LessOrEqual(t, text.X+letter*float64(len(text.Text)), float64(pictureWidth), text.Text)
			}
		})
	}
}
