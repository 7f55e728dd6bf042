package desk

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/news"
)

type textView struct{ Language, Name, Dir, Title, Body string }

// platform is how many columns of a notification are seen before it is opened.
// Vendors disagree and nobody measures East Asian text: a guide, never a limit
// (webpushnotifications.xyz, Nov 2026; a wide character takes two columns).
type platform struct {
	name        string
	title, body int
}

func platforms() []platform {
	return []platform{{"Android", 30, 65}, {"macOS", 43, 88}, {"Windows", 69, 139}}
}

// TitleLimits and BodyLimits are the guide as the page's script reads it.
func (textView) TitleLimits() string { return limits(func(p platform) int { return p.title }) }

// BodyLimits is TitleLimits for the text.
func (textView) BodyLimits() string { return limits(func(p platform) int { return p.body }) }

func limits(of func(platform) int) string {
	parts := make([]string, 0, 3)
	for _, p := range platforms() {
		parts = append(parts, p.name+" "+strconv.Itoa(of(p)))
	}
	return strings.Join(parts, ", ")
}

// writeView is the form of an alert that may still be written.
type writeView struct {
	Levels   []levelView
	Audience string
	Texts    []textView
	Sections []sectionView
	Narrowed bool // to some sections
	Unsaved  bool // was refused and is not in the store
}

type levelView struct {
	Name, Says string
	Picked     bool
}

type sectionView struct {
	Name   string
	Picked bool
}

// levelWords says what each level does to a reader.
func levelWords() []levelView {
	return []levelView{
		{Name: "flash", Says: "Wakes people: passes quiet hours and caps, unless a reader said no."},
		{Name: "bulletin", Says: "Breaking news: waits for the morning of those who sleep, counts for their cap."},
		{Name: "notice", Says: "A new story, only to those who asked for everything in its place."},
	}
}

func writeOf(a *news.Alert) *writeView {
	v := &writeView{Audience: a.Audience, Texts: textsOf(a), Narrowed: len(a.Sections) > 0}
	for _, l := range levelWords() {
		l.Picked = l.Name == a.Level.String()
		v.Levels = append(v.Levels, l)
	}
	for _, s := range news.Sections() {
		v.Sections = append(v.Sections, sectionView{s.Name, slices.Contains(a.Sections, s.Name)})
	}
	return v
}

// keep puts into the form what was typed into it and refused: nobody has to
// write twice.
func (v *alertView) keep(r *http.Request) {
	switch s := step(r.PathValue("step")); {
	case s == stepCorrect && v.MayCorrect:
		v.Correcting = true
		typed(v.Correction, r)
	case s == stepEdit && v.Write != nil:
		v.Write.Unsaved = true
		v.Write.Audience = r.PostFormValue("audience")
		typed(v.Write.Texts, r)
		for i := range v.Write.Levels {
			v.Write.Levels[i].Picked = v.Write.Levels[i].Name == r.PostFormValue("level")
		}
		for i := range v.Write.Sections {
			v.Write.Sections[i].Picked = slices.Contains(r.PostForm["sections"], v.Write.Sections[i].Name)
		}
		v.Write.Narrowed = len(r.PostForm["sections"]) > 0
	}
}

func typed(texts []textView, r *http.Request) {
	for i, t := range texts {
		if r.PostForm.Has("title." + t.Language) {
			texts[i].Title, texts[i].Body = r.PostFormValue("title."+t.Language), r.PostFormValue("body."+t.Language)
		}
	}
}

// textsOf lists an alert's texts, its own language first.
func textsOf(a *news.Alert) []textView {
	out := make([]textView, 0, len(a.Texts))
	for _, l := range sortedKeys(a.Texts) {
		out = append(out, textView{l, languageName(l), news.Direction(l), a.Texts[l].Title, a.Texts[l].Body})
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

// writingOf reads the form of an alert.
func writingOf(r *http.Request) Writing {
	sections := r.PostForm["sections"]
	if sections == nil {
		sections = []string{}
	}
	return Writing{Level: r.PostFormValue("level"), Audience: r.PostFormValue("audience"), Sections: sections, Texts: textsOfForm(r),
		Hash: r.PostFormValue("hash")}
}

// textsOfForm reads the fields "title.en" and "body.en" of every language.
func textsOfForm(r *http.Request) map[string]news.Text {
	texts := map[string]news.Text{}
	for field := range r.PostForm {
		if l, ok := strings.CutPrefix(field, "title."); ok {
			texts[l] = news.Text{Title: r.PostFormValue(field), Body: r.PostFormValue("body." + l)}
		}
	}
	return texts
}
