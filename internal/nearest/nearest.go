// Package nearest finds the word that a user may have meant.
package nearest

// Word returns the word with the fewest edits, the first one of several, and "" where there are
// no words.
func Word(word string, words []string) string {
	best, least := "", -1
	for _, w := range words {
		if d := Distance(word, w); least < 0 || d < least {
			best, least = w, d
		}
	}
	return best
}

// Guess returns the word with the fewest edits if they are few enough to be likely: one edit,
// or one for each three letters, and never more than three.
func Guess(word string, words []string) (string, bool) {
	best := Word(word, words)
	return best, best != "" && Distance(word, best) <= min(3, max(1, len(word)/3))
}

// longest is the number of characters of a word that are compared, because the time grows with
// their square.
const longest = 80

// Distance returns the Levenshtein distance, with a swap of two neighbours as one edit, so that
// amd46 is as near to amd64 as a word with one wrong letter.
func Distance(a, b string) int {
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
