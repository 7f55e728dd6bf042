package desk

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/width"
)

// platform is how many columns of a notification a reader sees, before and
// after it is opened. Vendors disagree, screens differ and nobody measures East
// Asian text (a wide character takes two columns): a guide, never a limit.
type platform struct {
	Key, Name   string
	Title, Body int // collapsed
	OpenTitle   int
	OpenBody    int
	// Head is the line that says whose notification it is.
	Head string
}

// platforms is the one place these figures are in. Nov 2026: Android, Windows
// and macOS collapsed from webpushnotifications.xyz; Android's single line that
// opens to eight and iOS's four lines of 110 from Braze's and Batch's guides;
// macOS opened is Safari's. The heads are how Chrome, Edge and Safari name where
// a notification comes from: iOS shows the name of the app on the home screen,
// the others the site's address.
func platforms() []platform {
	return []platform{
		{"android", "Android", 30, 65, 65, 240, "Chrome • ORIGIN • now"},
		{"ios", "iOS", 30, 110, 50, 178, "from NAME • now"},
		{"windows", "Windows", 69, 139, 69, 200, "ORIGIN via Microsoft Edge"},
		{"macos", "macOS", 43, 88, 49, 103, "ORIGIN"},
	}
}

// pictureView is one text on one platform's lock screen: collapsed and opened.
type pictureView struct {
	platform
	Short, Long notificationView
}

// notificationView is a text as far as it is seen.
type notificationView struct {
	Head, Title, Body string
	Language, Dir     string
	Open              bool
}

// pictures are a text's notifications.
func (p *Pages) pictures(t *textView) []pictureView {
	out := make([]pictureView, 0, 4)
	for _, on := range platforms() {
		n := notificationView{Head: strings.NewReplacer("ORIGIN", p.site(), "NAME", p.publisher).Replace(on.Head), Language: t.Language, Dir: t.Dir}
		short, long := n, n
		short.Title, short.Body = cutColumns(t.Title, on.Title), cutColumns(t.Body, on.Body)
		long.Title, long.Body, long.Open = cutColumns(t.Title, on.OpenTitle), cutColumns(t.Body, on.OpenBody), true
		out = append(out, pictureView{on, short, long})
	}
	return out
}

// site is the address that a notification names: our own, without the scheme.
func (p *Pages) site() string {
	_, host, _ := strings.Cut(strings.TrimSuffix(p.desk.baseURL, "/"), "://")
	return host
}

// TitleLimits and BodyLimits are the guide as the page's script reads it.
func (textView) TitleLimits() string { return limits(func(p platform) int { return p.Title }) }

// BodyLimits is TitleLimits for the text.
func (textView) BodyLimits() string { return limits(func(p platform) int { return p.Body }) }

func limits(of func(platform) int) string {
	parts := make([]string, 0, 4)
	for _, p := range platforms() {
		parts = append(parts, p.Name+" "+strconv.Itoa(of(p)))
	}
	return strings.Join(parts, ", ")
}

// TitleLength and BodyLength say how long a text is, as the page's script does
// while it is written.
func (t textView) TitleLength() string {
	return lengthWords(t.Title, func(p platform) int { return p.Title })
}

// BodyLength is TitleLength for the text.
func (t textView) BodyLength() string {
	return lengthWords(t.Body, func(p platform) int { return p.Body })
}

func lengthWords(text string, of func(platform) int) string {
	n := columns(text)
	cut := slices.DeleteFunc(platforms(), func(p platform) bool { return n <= of(p) })
	if len(cut) == 0 {
		return strconv.Itoa(n) + " columns: whole on every platform"
	}
	names := make([]string, 0, len(cut))
	for _, p := range cut {
		names = append(names, p.Name+" "+strconv.Itoa(of(p)))
	}
	return strconv.Itoa(n) + " columns: cut on " + strings.Join(names, ", ")
}

// columns is how wide a text is: the characters that a reader sees (grapheme
// clusters, UAX 29), of which the East Asian wide ones (UAX 11) and emoji take
// two. static/write.js counts the same.
func columns(text string) int {
	n := 0
	for _, width := range characters(text) {
		n += width
	}
	return n
}

// cutColumns is what is seen of a text where there are so many columns: all of
// it, or its beginning and an ellipsis.
func cutColumns(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	n, end := 0, 0
	for c, width := range characters(text) {
		if n += width; n > most-1 {
			break
		}
		end += len(c)
	}
	return strings.TrimRight(text[:end], " 　") + "…"
}

// characters are a text's grapheme clusters and how many columns each takes.
func characters(text string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		state := -1
		for text != "" {
			cluster, rest, _, next := uniseg.FirstGraphemeClusterInString(text, state)
			for linked(cluster, rest) {
				var more string
				more, rest, _, next = uniseg.FirstGraphemeClusterInString(rest, next)
				cluster = text[:len(cluster)+len(more)]
			}
			if !yield(cluster, widthOf(cluster)) {
				return
			}
			text, state = rest, next
		}
	}
}

// linked reports whether a consonant follows a sign that joins it to the one
// before (UAX 29, rule GB9c, which uniseg 0.4.7 is older than; browsers apply it).
func linked(cluster, rest string) bool {
	sign, _ := utf8.DecodeLastRuneInString(cluster)
	next, _ := utf8.DecodeRuneInString(rest)
	switch sign {
	case 0x094D, 0x09CD, 0x0ACD, 0x0B4D, 0x0C4D, 0x0D4D, 0x1039, 0x17D2:
		return unicode.IsLetter(next)
	}
	return false
}

func widthOf(cluster string) int {
	first, size := utf8.DecodeRuneInString(cluster)
	switch kind := width.LookupRune(first).Kind(); {
	case kind == width.EastAsianWide, kind == width.EastAsianFullwidth, strings.Contains(cluster, "\ufe0f"):
		return 2
	case unicode.Is(regionalIndicators, first) && len(cluster) > size: // a flag
		return 2
	}
	return 1
}

var regionalIndicators = &unicode.RangeTable{R32: []unicode.Range32{{Lo: 0x1F1E6, Hi: 0x1F1FF, Stride: 1}}}
