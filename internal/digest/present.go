package digest

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/internal/region"
)

// Lengths in a mail, as weigh counts.
const (
	maxSubject    = 120
	maxHeadline   = 160
	maxPreheader  = 160
	maxAlt        = 100
	maxRepairText = 300
	bytesPerPlace = 3 // of the scripts that are written with 3 bytes a letter
)

// Picture sizes in CSS pixels; a mail is 640 wide, with 24 at each side.
const (
	largeWidth = 592
	smallWidth = 104
	smallMin   = 58
	smallMax   = 139
)

// placesNamed is how many followed places the footer names.
const placesNamed = 8

type mailView struct {
	W           email.Vocabulary
	Face        email.Face
	Publisher   email.Publisher
	Subject     string
	Preheader   string
	Title       string
	Date        string
	Minutes     string // to read it, in words
	Note        *noteView
	Repairs     []repairView
	Alerted     []alertedView
	Lead        storyView
	Groups      []groupView
	Follow      string
	Manage      string
	Unsubscribe string
	Pixel       string // of publishers who count; "" none
	Capitals    bool   // the script has capitals to set section names in
	Start, End  string // of a line: left and right, or the reverse
}

// alertedView is an alert by its time and a link to its page. Its headline is
// left out: she has read it.
type alertedView struct {
	At, URL   string
	Corrected bool
}

// noteView is what the editors say, paragraph by paragraph.
type noteView struct {
	Paragraphs []string
	Lang, Dir  string
	Face       email.Face
}

// repairView says what was wrong with something she got.
type repairView struct {
	Label, Headline, Text string
	URL                   string // of what was sent; "" none
	Lang, Dir             string // of the headline
	Face                  email.Face
	TextLang, TextDir     string
	TextFace              email.Face
}

type groupView struct {
	Name    string
	Stories []storyView
}

type storyView struct {
	Kind       string
	Headline   string
	URL        string
	Dateline   string
	Standfirst string
	Lang, Dir  string
	Face       email.Face // of the story's language
	Around     email.Face // of the mail's
	Image      *imageView
	Lead       bool
	Large      bool
	Section    string // of the lead: it stands under no heading
}

type imageView struct {
	URL, Alt            string
	Width, Height, Cell int
}

// present turns a selection into what the templates show, with standfirsts of
// at most limit (the lead may say nearly twice that). The reader's own links
// are marks, filled in afterwards.
func (r *Renderer) present(e Edition, w news.Wishes, s Selection, limit int) mailView {
	words := r.words.In(w.Language)
	v := mailView{W: words, Face: email.FaceOf(words.Language), Publisher: r.publisher, Title: words.Term("daily"),
		Follow: followed(words, w), Manage: r.marks.Manage, Unsubscribe: r.marks.Unsubscribe, Start: "left", End: "right",
		Capitals: hasCapitals(words.Term("manage"))}
	if words.Dir() == "rtl" {
		v.Start, v.End = v.End, v.Start
	}
	if e.Weekly {
		v.Title = words.Term("weekly")
	}
	if date, err := time.Parse(dateFormat, e.LocalDate); err == nil {
		v.Date = words.Date(date)
	}
	for _, a := range s.Alerted {
		v.Alerted = append(v.Alerted, alertedView{r.clockIn(w, a.At), r.baseURL + "/alerts/" + a.AlertID, a.Corrected})
	}
	v.Note = noteOf(s.Note)
	for _, t := range s.Repairs {
		v.Repairs = append(v.Repairs, r.presentRepair(words, w, t))
	}
	if s.Lead != nil {
		v.Lead = r.presentLead(words, w, s.Lead, limit)
	}
	for _, g := range s.Groups {
		v.Groups = append(v.Groups, r.presentGroup(words, w, g, limit))
	}
	r.count(e, s, &v)
	v.Subject, v.Preheader = v.head()
	v.Minutes = strings.ReplaceAll(words.Term("minutes"), "{n}", strconv.Itoa(v.minutes()))
	return v
}

// count makes the links count, where the publisher wants that.
func (r *Renderer) count(e Edition, s Selection, v *mailView) {
	if r.visit == nil || s.Lead == nil {
		return
	}
	v.Pixel = r.visit(e, "")
	lead := func(story *news.Story, view *storyView) {
		if len(story.URI) <= maxCounted {
			view.URL = r.visit(e, story.URI)
		}
	}
	lead(s.Lead, &v.Lead)
	for i, g := range s.Groups {
		for n, story := range g.Stories {
			lead(story, &v.Groups[i].Stories[n])
		}
	}
}

// maxCounted is the longest name of a story whose link counts: a token has 512
// characters at most, and every link is in the mail four times.
const maxCounted = 250

// presentLead lays the story out that opens the mail.
func (r *Renderer) presentLead(words email.Vocabulary, w news.Wishes, story *news.Story, limit int) storyView {
	c := r.cards.get(r.cardKey(story, w, limit), func() card { return makeCard(words, story, w, limit) })
	lead := c.view
	lead.Lead, lead.Standfirst = true, c.leadStandfirst
	if section := sectionOf(story, w.Preference.Sections); section != "" {
		lead.Section = words.Section(section)
	}
	lead.enlarge(story.Image)
	return lead
}

func noteOf(n Note) *noteView {
	if n.Text == "" {
		return nil
	}
	v := &noteView{Lang: n.Language, Dir: news.Direction(n.Language), Face: email.FaceOf(n.Language)}
	for line := range strings.Lines(n.Text) {
		if line = strings.TrimSpace(line); line != "" {
			v.Paragraphs = append(v.Paragraphs, line)
		}
	}
	return v
}

// presentRepair says what was corrected in the words of the correction, or that what
// she knows by its headline was withdrawn.
func (r *Renderer) presentRepair(words email.Vocabulary, w news.Wishes, t told) repairView {
	v := repairView{Label: words.Term("correction")}
	if t.AlertID != "" {
		v.URL = r.baseURL + "/alerts/" + t.AlertID
	}
	text, lang := t.TextIn(w.Language)
	textLang := lang
	v.Headline, v.Text = text.Title, text.Body
	if t.Kind == news.ReleaseKill {
		v.Label = words.Term("withdrawn")
		if t.story != nil {
			known, l := t.story.TextIn(w.Language)
			v.Headline, lang = known.Headline, l
		}
		v.Text, textLang = words.Term("withdrawn_text"), words.Language
	}
	if prefix := v.Label + ":"; len(v.Headline) > len(prefix) && strings.EqualFold(v.Headline[:len(prefix)], prefix) {
		v.Headline = strings.TrimSpace(v.Headline[len(prefix):]) // the desk's own label would stand there twice
	}
	v.Headline, v.Text = clip(v.Headline, maxHeadline), clip(v.Text, maxRepairText)
	v.Lang, v.Dir, v.Face = lang, news.Direction(lang), email.FaceOf(lang)
	v.TextLang, v.TextDir, v.TextFace = textLang, news.Direction(textLang), email.FaceOf(textLang)
	return v
}

func (r *Renderer) presentGroup(words email.Vocabulary, w news.Wishes, g Group, limit int) groupView {
	out := groupView{Name: words.Term("more")}
	if g.Section != "" {
		out.Name = words.Section(g.Section)
	}
	for _, story := range g.Stories {
		view := r.cards.get(r.cardKey(story, w, limit), func() card { return makeCard(words, story, w, limit) }).view
		if story.Kind == "photo" {
			view.enlarge(story.Image)
		}
		out.Stories = append(out.Stories, view)
	}
	return out
}

// enlarge gives a story its picture over the whole width.
func (v *storyView) enlarge(image *news.Image) {
	v.Large = true
	v.Image = pictureOf(image, largeWidth)
}

// pictureOf fixes a picture's size, so that a mail does not jump while its
// pictures load. The shape is the picture's own, within bounds; 16:9 when it
// is unknown.
func pictureOf(image *news.Image, width int) *imageView {
	if image == nil || !strings.HasPrefix(image.URL, "https://") {
		return nil
	}
	height := width * 9 / 16
	if image.Width > 0 && image.Height > 0 {
		height = width * image.Height / image.Width
	}
	if width == smallWidth {
		height = min(max(height, smallMin), smallMax)
	} else {
		height = min(max(height, width/4), width*5/4)
	}
	return &imageView{URL: image.URL, Alt: clip(image.Alt, maxAlt), Width: width, Height: height, Cell: width + 16}
}

// clockIn is a time by the reader's clock.
func (r *Renderer) clockIn(w news.Wishes, t time.Time) string {
	zone, err := r.zones.load(w.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return t.In(zone).Format("15:04")
}

// dateline opens a story, in the language the story is told in; the dash that
// ends it is the templates' (there may be nothing to follow it).
func dateline(story *news.Story, lang string) string {
	return strings.TrimRight(region.Dateline(region.DatelinePlace(story.Regions), story.Created, lang), " —")
}

// head is the subject (the lead's headline) and the line that mail programs
// show beside it (the headlines that follow; where nothing does, what the lead
// says next, or they would show the name of the publisher once more).
func (v *mailView) head() (subject, preheader string) {
	var headlines []string
	for _, g := range v.Groups {
		for _, s := range g.Stories {
			headlines = append(headlines, s.Headline)
		}
	}
	if len(headlines) == 0 {
		headlines = []string{cmp.Or(v.Lead.Standfirst, v.Lead.Dateline)}
	}
	return clip(v.Lead.Headline, maxSubject), clip(strings.Join(headlines, " · "), maxPreheader)
}

func followed(words email.Vocabulary, w news.Wishes) string {
	places, more := w.Preference.Regions, ""
	if len(places) > placesNamed {
		places, more = places[:placesNamed], " …"
	}
	expr := strings.Join(places, " + ")
	if muted := w.Preference.Muted; len(muted) > 0 && len(muted) <= placesNamed {
		expr += " - " + strings.Join(muted, " - ")
	}
	return strings.ReplaceAll(words.Term("follow"), "{places}", region.Words(expr, words.Language)+more)
}

func hasCapitals(sample string) bool {
	for _, r := range sample {
		if unicode.IsUpper(r) {
			return true
		}
	}
	return false
}

// weigh counts how much room text takes: its columns (a Chinese character has
// two), or a third of its bytes where that is more (a Hindi or Thai syllable
// is one column and up to nine bytes, which all have to be sent).
func weigh(text string) int {
	return max(uniseg.StringWidth(text), len(text)/bytesPerPlace)
}

// clip shortens text to a weight, at the end of a word where there are words,
// with an ellipsis.
func clip(text string, limit int) string {
	text = strings.TrimSpace(text)
	if len(text) <= limit || weigh(text) <= limit {
		return text
	}
	end, columns := 0, 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		_, next := g.Positions()
		columns += g.Width()
		if max(columns, next/bytesPerPlace) >= limit {
			break
		}
		end = next
	}
	cut := text[:end]
	if space := strings.LastIndexByte(cut, ' '); space > len(cut)*2/3 {
		cut = cut[:space]
	}
	return strings.TrimRight(cut, " ,;:.–—") + "…"
}

// feedbackID tells a provider's complaint figures apart: edition, zone, kind,
// sender; no reader in it (Gmail's Feedback-ID; four fields, the last fixed).
func feedbackID(e Edition, timezone, sender string) string {
	kind := "daily"
	if e.Weekly {
		kind = "weekly"
	}
	return strings.Join([]string{strings.ReplaceAll(e.LocalDate, "-", ""), strings.ReplaceAll(cmp.Or(timezone, "UTC"), "/", "-"), kind,
		url.PathEscape(sender)}, ":")
}
