package site

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"dateline/internal/news"
	"dateline/internal/web"
)

// What a reader may want of one running story.
const (
	wantNone = "none" // mute it
	wantOver = "over" // only corrections, retractions and its last alert
	wantAll  = "all"  // as of any other
)

// storyWish is the answer of POST …/stories.
type storyWish struct {
	Story string `json:"story"`
	Want  string `json:"want"`
}

// wishForStory is what a press on a notification asks for: its alert names the
// story, and the wish is the reader's from then on.
func (s *Site) wishForStory(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	var body struct {
		Alert string `json:"alert"`
		Want  string `json:"want"`
	}
	if err := web.ReadJSON(w, r, &body, 4<<10); err != nil {
		return err
	}
	var faults news.Problems
	if body.Alert == "" {
		faults.Add("alert", "is required: data.alert of the notification")
	}
	if !slices.Contains([]string{wantNone, wantOver, wantAll}, body.Want) {
		faults.Add("want", "must be none (mute this story), over (only when it is over) or all (take it back)")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	a, err := s.Store.Alert(r.Context(), body.Alert)
	if err == nil && a.Revision == 0 { // a draft is nobody's business
		err = news.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("site.wishForStory: alert: %w", err)
	}
	if _, err := s.changeWishes(r, id, func(w *news.Wishes) error { return wish(w, a.StoryURI, body.Want) }); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, storyWish{a.StoryURI, body.Want})
}

// changeWishes changes what a device that has not left wants.
func (s *Site) changeWishes(r *http.Request, id string, change func(*news.Wishes) error) (news.Device, error) {
	d, err := s.Store.ChangeSubscription(r.Context(), id, func(d *news.Device) error {
		if d.State == news.DeviceLeft {
			return errEnded
		}
		return change(&d.Wishes)
	})
	if err != nil {
		return d, fmt.Errorf("site.changeWishes: %w", err)
	}
	s.wake(topicDevices, topicControl)
	return d, nil
}

// wish puts a story on one of the reader's two lists, or takes it off both.
func wish(w *news.Wishes, uri, want string) error {
	without := func(list []string) []string {
		return canonical(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == uri }))
	}
	w.MutedStories, w.OverStories = without(w.MutedStories), without(w.OverStories)
	list := &w.MutedStories
	switch want {
	case wantAll:
		return nil
	case wantOver:
		list = &w.OverStories
	}
	if len(*list) >= maxMuted {
		return news.Invalid("want", "there are %d stories on this list already; take one off first", maxMuted)
	}
	*list = canonical(append(*list, uri))
	return nil
}

// storyLine is a story with a wish of its own, on the manage page.
type storyLine struct {
	URI, Title, Lang, Dir string
	Want                  string
}

// storyLines lists the stories that a reader treats apart, by the title of
// their newest alert among those given; what is not among them has its uri.
func storyLines(w news.Wishes, alerts []news.Alert, lang string) []storyLine {
	var out []storyLine
	for _, list := range []struct {
		uris []string
		want string
	}{{w.MutedStories, wantNone}, {w.OverStories, wantOver}} {
		for _, uri := range list.uris {
			line := storyLine{URI: uri, Title: uri, Dir: "ltr", Want: list.want}
			if i := slices.IndexFunc(alerts, func(a news.Alert) bool { return a.StoryURI == uri && a.Revision > 0 }); i >= 0 {
				line.Title, line.Lang = alertTitle(&alerts[i], lang)
				line.Dir = news.Direction(line.Lang)
			}
			out = append(out, line)
		}
	}
	return out
}

func alertTitle(a *news.Alert, lang string) (title, in string) {
	var have []string
	for l := range a.Texts {
		have = append(have, l)
	}
	slices.Sort(have)
	in = news.PickLanguage(lang, have, a.Language)
	return a.Texts[in].Title, in
}

// stories are the lines of a device's wishes, named by the newest alerts.
func (s *Site) stories(ctx context.Context, w news.Wishes, lang string) ([]storyLine, error) {
	if len(w.MutedStories)+len(w.OverStories) == 0 {
		return nil, nil
	}
	alerts, err := s.Store.Alerts(ctx, []news.AlertState{news.AlertSending, news.AlertSent, news.AlertKilled}, 500)
	if err != nil {
		return nil, fmt.Errorf("site.stories: %w", err)
	}
	return storyLines(w, alerts, lang), nil
}
