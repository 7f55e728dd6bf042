package site

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"dateline/internal/news"
	"dateline/internal/region"
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
// stories.
func (s *Site) subscribePage(w http.ResponseWriter, r *http.Request) error {
	v := s.view(w, r)
	wishes := defaultWishes()
	wishes.Language, wishes.Timezone = v.Lang, "" // a script fills in the browser's
	for _, typed := range r.URL.Query()["region"] {
		if code, ok := region.Canonical(typed); ok {
			wishes.Preference.Regions = append(wishes.Preference.Regions, code)
		}
	}
	wishes.Preference.Regions = canonical(wishes.Preference.Regions)
	return s.Floor.Render(w, http.StatusOK, "site/subscribe", subscribeView{v, s.choices(v, wishes, nil)})
}

// subscribeForm takes the digest's sign-up from the page; alerts are taken by
// the page's script through the API.
func (s *Site) subscribeForm(w http.ResponseWriter, r *http.Request) error {
	start := s.Now()
	values, err := form(w, r)
	if err != nil {
		return err
	}
	values.Set("digest", "1")
	signup, err := s.readSignup(values)
	if err != nil {
		return s.subscribeAgain(w, r, values, signup, err)
	}
	if err := s.signUp(r, start, signup, "page"); err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusAccepted, "site/mailed", struct {
		view
		Email string
	}{s.view(w, r), signup.Address})
}

func (s *Site) readSignup(values url.Values) (news.DigestSignup, error) {
	var faults news.Problems
	signup := news.DigestSignup{Wishes: defaultWishes(), Hour: defaultHour, Days: everyDay()}
	s.parser.digest(formFields(values, &faults), &signup)
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
	if values.Get("timezone") == "" {
		signup.Wishes.Timezone = ""
	}
	c := s.choices(v, signup.Wishes, faults)
	c.Email, c.Hour, c.Days, c.Weekly = values.Get("email"), signup.Hour, signup.Days, signup.Weekly
	return s.Floor.Render(w, http.StatusBadRequest, "site/subscribe", subscribeView{v, c})
}
