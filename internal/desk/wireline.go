package desk

import (
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// itemView is the block "item" of the page "desk/wire".
type itemView struct {
	Story    news.Story
	Dir      string
	Dateline string
	Places   string
	Marks    []mark
	Alerts   []alertedView
	Under    []underView
	Alike    string // the URIs of Under
	Raisable bool
}

// underView is another telling of the same event.
type underView struct {
	URI, Headline, URL, Language, Dir, At string
	Alerts                                []alertedView
}

// mark is a word about a story, and how loudly it is shown.
type mark struct{ Kind, Word string }

// alertedView is an alert beside its story. At is when it came into its state,
// Since when it was released: Already says that something of it was sent. By is
// whose it is before that, and who stopped it.
type alertedView struct {
	ID, Level, State, At, By string
	Since                    string
	Already, Again           bool   // Again: not the first one of its line
	Covers                   string // of the places of the story it stands under
}

// item renders one story of the wire.
func (p *Pages) item(w wireStory) (string, error) {
	s, uris := &w.story, []string{}
	v := itemView{Story: *s, Dir: news.Direction(s.Language), Marks: marksOf(s, p.now()), Places: region.Words(strings.Join(s.Regions, " + "), "en"),
		Dateline: region.Dateline(region.DatelinePlace(s.Regions), s.Created, "en"), Alerts: alerted(w.alerts[s.URI], nil)}
	for _, u := range w.under {
		v.Under = append(v.Under, underView{u.URI, u.Headline, u.URL, u.Language, news.Direction(u.Language), shortTime(u.StoredAt), alerted(w.alerts[u.URI], s)})
		uris = append(uris, u.URI)
	}
	v.Alike = strings.Join(uris, " ")
	again := false
	for i := range v.Under {
		for j := range v.Under[i].Alerts {
			if o := &v.Under[i].Alerts[j]; o.Already {
				o.Again, again = again, true
			}
		}
	}
	v.Raisable = s.Status == news.Usable
	return p.floor.Part("desk/wire", "item", v)
}

// shortTime is a time of today's as the wire shows it.
func shortTime(t time.Time) string { return t.UTC().Format("15:04 MST") }

// alerted is what was alerted, and when; over is the story that it stands
// under, if any.
func alerted(alerts []news.Alert, over *news.Story) []alertedView {
	var out []alertedView
	for i := range alerts {
		a := &alerts[i]
		v := alertedView{ID: a.ID, Level: a.Level.String(), State: string(a.State), At: shortTime(a.CreatedAt), Already: a.Revision > 0}
		if !a.ReleasedAt.IsZero() {
			v.At = shortTime(a.ReleasedAt)
		}
		v.Since = v.At
		if !v.Already && a.State.Unfinished() {
			v.By = a.Author
		}
		if stopOf(a) != nil {
			v.At, v.By = shortTime(a.StoppedAt), a.StoppedBy
		}
		if over != nil && v.Already {
			v.Covers = overlapOf(over.Regions, a.Audience).words()
		}
		out = append(out, v)
	}
	return out
}

// marksOf says what an editor must not overlook, the weightiest first.
func marksOf(s *news.Story, now time.Time) []mark {
	var out []mark
	switch s.Status {
	case news.Canceled:
		out = append(out, mark{"kill", "killed"})
	case news.Withheld:
		out = append(out, mark{"kill", "on hold"})
	}
	if s.Embargo.After(now) {
		out = append(out, mark{"embargo", "embargo until " + s.Embargo.UTC().Format("2 Jan 15:04 MST")})
	}
	if s.Breaking {
		out = append(out, mark{"live", "breaking"})
	}
	out = append(out, mark{"", "urgency " + strconv.Itoa(s.Urgency)})
	if s.Version > 1 {
		out = append(out, mark{"", "version " + strconv.FormatInt(s.Version, 10)})
	}
	return out
}
