package desk

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/news"
	"dateline/internal/region"
)

// textView is a language's text on the form.
type textView struct {
	Language, Name, Dir   string
	Title, Body           string
	TitleFault, BodyFault string
	Own                   bool // the text of last resort, which stays
	// Repair: it stands in the form of a correction, which takes no language out;
	// Keep: it was ticked as right as it is.
	Repair, Keep bool
	Pictures     []pictureView
}

// writeView is the form of an alert that may still be written.
type writeView struct {
	Levels    []levelView
	Audience  string
	Words     string // the audience's, or why there are none
	Idle      bool   // what it leaves out was not in it
	Fault     string // of the audience
	Map       mapView
	Texts     []textView
	Own       string         // the name of the language of last resort
	Languages []languageView // that could be added
	Sections  []sectionView
	Narrowed  bool // to some sections
	Final     bool // the last of a running story
	Deadline  string
	Late      string // what is wrong with the deadline
	Until     string // the deadline in words
	Embargo   string
	Unsaved   bool // differs from what is in the store
}

type levelView struct {
	Name, Says string
	Picked     bool
}

type sectionView struct {
	Name   string
	Picked bool
}

type languageView struct{ Tag, Name string }

// levelWords says what each level does to a reader.
func levelWords() []levelView {
	return []levelView{
		{Name: "flash", Says: "Wakes people: passes quiet hours and caps, unless a reader said no."},
		{Name: "bulletin", Says: "Breaking news: waits for the morning of those who sleep, counts for their cap."},
		{Name: "notice", Says: "A new story, only to those who asked for everything in its place."},
	}
}

// alertLanguages are those of the press of Asia that an alert is offered in, by
// their tags; what the story has besides is offered, too.
func alertLanguages() []string {
	return []string{"ar", "az", "bn", "dv", "dz", "en", "fa", "fil", "gu", "he", "hi", "hy", "id", "ja", "ka", "kk", "km", "kn", "ko", "ky", "lo", "ml", "mn", "mr",
		"ms", "my", "ne", "pa", "ps", "ru", "si", "ta", "te", "tg", "th", "tk", "tr", "ug", "ur", "uz", "vi", "zh-Hans", "zh-Hant"}
}

// formed is an alert as a form has it, saved or not.
type formed struct {
	alert    news.Alert
	story    *news.Story
	texts    []string // languages in the form's order
	audience string   // as typed
	deadline string
	faults   map[string]string // by path
	now      time.Time
}

// saved is the alert as it is in the store.
func (p *Pages) saved(a *news.Alert, s *news.Story) *formed {
	f := &formed{alert: *a, story: s, audience: a.Audience, deadline: deadlineText(a.Deadline), now: p.desk.now()}
	for _, t := range textsOf(a) {
		f.texts = append(f.texts, t.Language)
	}
	return f
}

// typed is the alert as the form has it, and what is wrong with that. Nothing
// is changed in the store. A form without texts (the preview's) names their
// languages alone.
func (p *Pages) typed(a *news.Alert, s *news.Story, form url.Values) *formed {
	f := &formed{alert: *a, story: s, audience: form.Get("audience"), deadline: form.Get("deadline"), now: p.desk.now(), faults: map[string]string{}}
	f.press(form)
	w, faults := writingOf(form, f.now)
	w.Audience, w.Texts = f.audience, f.textsOf(form)
	if level, err := news.ParseLevel(w.Level); err == nil {
		f.alert.Level = level
	}
	f.alert.Texts = w.Texts
	if w.NoDeadline {
		f.alert.Deadline = time.Time{}
	}
	checked := f.alert
	if strings.TrimSpace(w.Audience) == "" {
		faults.Add("audience", "names no place")
		f.alert.Audience = ""
	}
	faults.Take("", write(&checked, w, p.desk.room(&checked, s), f.now))
	if !faultAt(faults, "audience") {
		f.alert.Audience = checked.Audience
	} else {
		f.alert.Audience = ""
	}
	f.alert.Sections, f.alert.Deadline, f.alert.Final = checked.Sections, checked.Deadline, checked.Final
	for _, q := range faults {
		switch before := f.faults[q.Path]; {
		case f.fresh(q.Path, form):
		case before == "":
			f.faults[q.Path] = q.Message
		case q.Path == "audience": // each unknown place is named
			f.faults[q.Path] = before + "; " + q.Message
		}
	}
	return f
}

// fresh reports whether a fault is of a language that was just added: nobody
// has had time to write it.
func (f *formed) fresh(path string, form url.Values) bool {
	l, ok := strings.CutPrefix(path, "texts/")
	l, _, _ = strings.Cut(l, "/")
	return ok && !form.Has("title."+l)
}

func faultAt(faults news.Problems, path string) bool {
	return slices.ContainsFunc(faults, func(q news.Problem) bool { return q.Path == path })
}

// The buttons of the form that change it and save nothing.
const (
	pressAdd    = "add"    // a language, that of the field "language"
	pressRemove = "remove" // a language
	pressToggle = "toggle" // a country in the audience
	pressShow   = "show"   // look at it again
)

// presses reports whether a form was sent to be shown again, not to be saved.
func presses(form url.Values) bool {
	return form.Has(pressAdd) || form.Has(pressRemove) || form.Has(pressToggle) || form.Has(pressShow)
}

// press does what such a button asks.
func (f *formed) press(form url.Values) {
	for _, l := range languagesOf(form) {
		if l != form.Get(pressRemove) || l == f.alert.Language {
			f.texts = append(f.texts, l)
		}
	}
	if form.Has(pressAdd) {
		if tag, err := language.Parse(form.Get("language")); err == nil && tag != language.Und && !slices.Contains(f.texts, tag.String()) {
			f.texts = append(f.texts, tag.String())
		}
	}
	if place := form.Get(pressToggle); place != "" {
		if said, err := parseAudience(f.audience); err == nil { // names, as one says them
			f.audience = said
		}
		if expr, err := region.Toggle(f.audience, place); err == nil {
			f.audience = expr
		}
	}
}

// languagesOf are the languages a form has texts in. Its fields say so in their
// order; one without them has those of its titles.
func languagesOf(form url.Values) []string {
	if form.Has("languages") {
		list := form["languages"]
		return slices.Clone(list[:min(len(list), maxLanguages)])
	}
	var list []string
	for _, field := range sortedKeys(form) {
		if l, ok := strings.CutPrefix(field, "title."); ok {
			list = append(list, l)
		}
	}
	return list
}

// textsOf are the texts typed. A language that was just added has the story's
// own text in it where the story has one; nothing is translated.
func (f *formed) textsOf(form url.Values) map[string]news.Text {
	texts := make(map[string]news.Text, len(f.texts))
	for _, l := range f.texts {
		switch {
		case form.Has("title." + l):
			texts[l] = news.Text{Title: form.Get("title." + l), Body: form.Get("body." + l)}
		case f.alert.Texts[l] != (news.Text{}):
			texts[l] = f.alert.Texts[l]
		default:
			texts[l] = f.storyText(l)
		}
	}
	return texts
}

func (f *formed) storyText(l string) news.Text {
	same := func() string { return f.alert.ID }
	return news.DefaultAlert(f.story, f.alert.Level, f.alert.Author, same, f.now).Texts[l]
}

// writeOf is the form as it is shown.
func (p *Pages) writeOf(f *formed, unsaved bool) *writeView {
	a := &f.alert
	v := &writeView{Audience: f.audience, Own: languageName(a.Language), Narrowed: len(a.Sections) > 0, Final: a.Final, Deadline: f.deadline,
		Words: audienceWords(f), Idle: leavesNothingOut(f.alert.Audience), Fault: f.faults["audience"], Map: mapOf(a.Audience), Late: f.faults["deadline"],
		Until: deadlineWords(a, f.now, f.story.Regions), Embargo: embargoWords(f.story, f.now), Unsaved: unsaved}
	for _, l := range levelWords() {
		l.Picked = l.Name == a.Level.String()
		v.Levels = append(v.Levels, l)
	}
	for _, s := range news.Sections() {
		v.Sections = append(v.Sections, sectionView{s.Name, slices.Contains(a.Sections, s.Name)})
	}
	for _, l := range f.texts {
		t := textView{Language: l, Name: languageName(l), Dir: news.Direction(l), Title: a.Texts[l].Title, Body: a.Texts[l].Body,
			TitleFault: f.faults["texts/"+l+"/title"], BodyFault: f.faults["texts/"+l+"/body"], Own: l == a.Language}
		if t.TitleFault == "" {
			t.TitleFault = f.faults["texts/"+l]
		}
		t.Pictures = p.pictures(&t)
		v.Texts = append(v.Texts, t)
	}
	offered := alertLanguages()
	for l := range f.story.Translations {
		offered = append(offered, l)
	}
	slices.Sort(offered)
	for _, l := range slices.Compact(offered) {
		if !slices.Contains(f.texts, l) {
			v.Languages = append(v.Languages, languageView{l, languageName(l)})
		}
	}
	slices.SortFunc(v.Languages, func(x, y languageView) int { return strings.Compare(x.Name, y.Name) })
	return v
}

func audienceWords(f *formed) string {
	if f.alert.Audience == "" {
		return ""
	}
	return region.Words(f.alert.Audience, "en")
}

// leavesNothingOut: the audience has a minus, and would be the same without. Who
// writes that may believe that readers there get nothing.
func leavesNothingOut(audience string) bool {
	expr, err := region.Parse(audience)
	if err != nil || !strings.Contains(expr.String(), " - ") {
		return false
	}
	all, err := region.SetOf(expr.Places(), nil)
	return err == nil && all.Equal(expr.Set())
}

// keep puts into the form what was typed into it and refused, or sent to be
// shown again: nobody has to write twice.
func (p *Pages) keep(ctx context.Context, v *alertView, s step, a *news.Alert, form url.Values) {
	switch {
	case s == stepCorrect && v.MayCorrect:
		v.Correcting = true
		typed(v.Correction, form)
	case s == stepEdit && v.Write != nil:
		f := p.typed(a, &v.Story, form)
		v.Write = p.writeOf(f, true)
		v.Card = p.cardOf(ctx, f, true)
	}
}

func typed(texts []textView, form url.Values) {
	for i, t := range texts {
		if form.Has("title." + t.Language) {
			texts[i].Title, texts[i].Body = form.Get("title."+t.Language), form.Get("body."+t.Language)
		}
	}
}

// textsOf lists an alert's texts, its own language first.
func textsOf(a *news.Alert) []textView {
	out := make([]textView, 0, len(a.Texts))
	for _, l := range sortedKeys(a.Texts) {
		out = append(out, textView{Language: l, Name: languageName(l), Dir: news.Direction(l), Title: a.Texts[l].Title, Body: a.Texts[l].Body})
	}
	slices.SortStableFunc(out, func(x, y textView) int {
		switch {
		case x.Language == a.Language:
			return -1
		case y.Language == a.Language:
			return 1
		}
		return 0
	})
	return out
}

func languageName(tag string) string {
	if name := display.English.Tags().Name(language.Make(tag)); name != "" {
		return name
	}
	return tag
}

// writingOf reads the form of an alert, and says what can't be read.
func writingOf(form url.Values, now time.Time) (Writing, news.Problems) {
	var faults news.Problems
	sections := form["sections"]
	if sections == nil {
		sections = []string{}
	}
	final := form.Has("final")
	w := Writing{Final: &final, Level: form.Get("level"), Audience: form.Get("audience"), Sections: sections, Texts: textsOfForm(form),
		Only: form.Has("languages"), Hash: form.Get("hash")}
	if form.Has("audience") && strings.TrimSpace(w.Audience) == "" {
		faults.Add("audience", "names no place")
	}
	at, err := parseDeadline(form.Get("deadline"), now)
	if err != nil {
		faults.Add("deadline", "%s", err)
	}
	w.Deadline, w.NoDeadline = at, form.Has("deadline") && err == nil && at.IsZero()
	return w, faults
}

// textsOfForm reads the fields "title.en" and "body.en" of every language.
func textsOfForm(form url.Values) map[string]news.Text {
	texts := map[string]news.Text{}
	for _, l := range languagesOf(form) {
		if form.Has("title." + l) {
			texts[l] = news.Text{Title: form.Get("title." + l), Body: form.Get("body." + l)}
		}
	}
	return texts
}

// save writes the form into the alert. What the form alone can tell to be wrong
// is said with what the alert's rules say.
func (p *Pages) save(ctx context.Context, by news.Person, id string, form url.Values) error {
	w, faults := writingOf(form, p.desk.now())
	if len(faults) == 0 {
		_, err := p.desk.Edit(ctx, by, id, w)
		return err
	}
	a, err := p.desk.store.Alert(ctx, id)
	if err != nil {
		return fmt.Errorf("desk: edit alert %s: %w", id, err)
	}
	story, err := p.desk.store.Story(ctx, a.StoryURI)
	if err != nil {
		return fmt.Errorf("desk: story of alert %s: %w", id, err)
	}
	faults.Take("", write(&a, w, p.desk.room(&a, &story), p.desk.now()))
	return faults.Err()
}
