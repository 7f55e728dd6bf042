package site

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

// front is the first page: what this is, one thing to press, what came lately.
func (s *Site) front(w http.ResponseWriter, r *http.Request) error {
	v := s.view(w, r)
	alerts, err := s.lines(r.Context(), v, 5)
	if err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/front", struct {
		view
		Alerts []alertLine
	}{v, alerts})
}

type subscribeView struct {
	view
	Form choices
}

// subscribePage shows the form. ?region=JP ticks a place, for links from
// stories; every other field of the form may be given as well, and what can't
// be is left out, and named.
func (s *Site) subscribePage(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	unknown := s.parser.knownOnly(values)
	if !values.Has("form") { // a link: what it doesn't say is as the form proposes it
		setDefault(values, "quiet", "on")
		setDefault(values, "quietFlash", "on")
	}
	setDefault(values, "quietFrom", "22:00")
	setDefault(values, "quietTo", "07:00")
	v := s.view(w, r)
	setDefault(values, "language", v.Lang)
	v.Unknown = unknownInWords(unknown)
	return s.draft(w, r, v, values)
}

func setDefault(values url.Values, name, value string) {
	if !values.Has(name) {
		values.Set(name, value)
	}
}

// draft shows the form with a choice that is not made yet, and what it means. What
// is wrong with a form is said; a link is somebody else's.
func (s *Site) draft(w http.ResponseWriter, r *http.Request, v view, values url.Values) error {
	wishes, faults := s.wishesOf(values)
	if faults != nil && !errors.Is(faults, news.ErrInvalid) {
		return faults
	}
	chosen := wishes
	if values.Get("timezone") == "" {
		wishes.Timezone = "" // the form says so; a script fills in the browser's
	}
	status := http.StatusOK
	if faults != nil && r.Method == http.MethodPost {
		status = http.StatusBadRequest
	} else {
		faults = nil
	}
	c := s.choices(v, wishes, faults)
	c.Suggested, c.Opened = s.suggestions(v, r, wishes.Preference.Regions), values.Get("open")
	c.Email, c.Query = values.Get("email"), feedQuery(chosen)
	v.kept = feedQuery(chosenIn(chosen))
	c.calendarTyped(values)
	if values.Has("more") {
		c.Overrides = append(c.Overrides, overrideRow{})
	}
	var err error
	if c.Preview, err = s.previewOrNone(r, v, chosen); err != nil {
		return err
	}
	return s.Floor.Render(w, status, "site/subscribe", subscribeView{v, c})
}

// previewOrNone is the preview that a page is born with. Where there is none now
// (it was asked for too often, the database does not answer) the page says so:
// one can follow all the same.
func (s *Site) previewOrNone(r *http.Request, v view, w news.Wishes) (preview, error) {
	if len(w.Preference.Regions) > 0 && s.previews.Take(web.ClientKey(r)) != nil {
		return s.noPreview(v, w)
	}
	p, err := s.previewOf(r.Context(), v, w)
	if err != nil && r.Context().Err() == nil {
		s.Logger.Warn("no preview", "error", err)
		return s.noPreview(v, w)
	}
	return p, err
}

func (s *Site) noPreview(v view, w news.Wishes) (preview, error) {
	text, err := v.T("preview.failed")
	return preview{Text: text, Places: placesInWords(w.Preference, v.Lang)}, err
}

// drafting reports whether a button was pressed that changes the form and signs
// nobody up: show what it means, open a country, take a suggestion, add or drop
// a row. Only without the page's script are they sent; by POST, since a mail
// address that has been typed already belongs into no address bar and no log.
func drafting(values url.Values) bool {
	for _, name := range []string{"show", "open", "pick", "more", "drop"} {
		if values.Has(name) {
			return true
		}
	}
	return false
}

// subscribeForm takes the digest's sign-up from the page; alerts are taken by
// the page's script through the API.
func (s *Site) subscribeForm(w http.ResponseWriter, r *http.Request) error {
	start := s.Now()
	values, err := form(w, r)
	if err != nil {
		return err
	}
	if drafting(values) {
		picked, _ := knownPlaces(values["pick"])
		values["region"] = append(values["region"], picked...)
		if values.Has("drop") {
			dropOverride(values, values.Get("drop"))
		}
		return s.draft(w, r, s.view(w, r), values)
	}
	values.Set("digest", "1")
	signup, err := s.readSignup(values)
	if err != nil {
		return s.subscribeAgain(w, r, values, signup, err)
	}
	if err := s.signUp(r, start, signup, "page"); err != nil {
		return err
	}
	v := s.view(w, r)
	v.Here = mailedPath
	return s.Floor.Render(w, http.StatusAccepted, "site/mailed", mailedView{v, signup.Address})
}

// mailedView is the answer to a sign-up: the same for every address, so it says
// nothing that is true of some alone.
type mailedView struct {
	view
	Email string
}

// mailedPath is where the language menu of that answer leads.
const mailedPath = "/subscribe/mailed"

// mailedPage is the answer once more, in another language: without the address,
// which belongs into no address bar.
func (s *Site) mailedPage(w http.ResponseWriter, r *http.Request) error {
	return s.Floor.Render(w, http.StatusOK, "site/mailed", mailedView{view: s.view(w, r)})
}

// chosenIn is a choice without its language, which goes with the page's.
func chosenIn(w news.Wishes) news.Wishes {
	w.Language = ""
	return w
}

// readSignup takes of the form what a digest goes by.
func (s *Site) readSignup(values url.Values) (news.DigestSignup, error) {
	var faults news.Problems
	signup := news.DigestSignup{Wishes: defaultWishes(), Hour: defaultHour, Days: everyDay()}
	s.parser.digest(formFields(quietly(values), &faults), &signup)
	if values.Get("timezone") == "" {
		signup.Wishes.Timezone = zoneOf(signup.Wishes.Preference)
	}
	return signup, faults.Err()
}

// zoneOf is the clock of a reader who did not name one: that of a place she
// follows.
func zoneOf(p news.Preference) string {
	for _, code := range p.Regions {
		if zone := region.Zone(code); zone != region.UTC && !slices.Contains(p.Muted, code) {
			return zone
		}
	}
	return region.UTC
}

// subscribeAgain shows the form as it was sent, with what is wrong.
func (s *Site) subscribeAgain(w http.ResponseWriter, r *http.Request, values url.Values, signup news.DigestSignup, faults error) error {
	if !errors.Is(faults, news.ErrInvalid) {
		return faults
	}
	v := s.view(w, r)
	chosen, _ := s.wishesOf(values) // what is wrong with it and is the digest's is known
	wishes := chosen
	if values.Get("timezone") == "" {
		wishes.Timezone = ""
	}
	v.kept = feedQuery(chosenIn(chosen))
	c := s.choices(v, wishes, faults)
	c.Query = feedQuery(chosen)
	var err error
	if c.Preview, err = s.previewOrNone(r, v, chosen); err != nil {
		return err
	}
	c.Email, c.Hour, c.Days, c.Weekly = values.Get("email"), signup.Hour, signup.Days, signup.Weekly
	return s.Floor.Render(w, http.StatusBadRequest, "site/subscribe", subscribeView{v, c})
}
