package desk

import (
	"math"
	"time"

	"dateline/internal/news"
)

// alertJSON is an alert on the wire (DESIGN 9), for the OpenAPI document:
//
//   - counts and times are those of the alert's first release; repairs
//     (kind correction or kill, oldest first) carry their own. All counts are
//     devices, and zero before the release. shown is an estimate,
//     and null where nothing is measured (DATELINE_TRACKING=off).
//   - times.released is when the first release was handed to the senders;
//     before that, when the countdown began. p50, p90 and p99 are seconds from
//     times.released (three decimals, to 5 %) within which that share of the
//     accepted messages was accepted. Times are RFC 3339 in UTC; what does not
//     exist yet is null.
//   - revision is the newest revision sent of this alert, 0 before; hash is the
//     hex SHA-256 that approve and release must name; holdUntil is the end of
//     the countdown while the state is holding; deadline is the one asked for,
//     from the first release on the one that holds.
//   - state: draft, submitted, approved, holding, sending, sent, held,
//     cancelled, killed. Of a repair: sending, held, stopped, sent.
//   - final: the last alert of a running story, which also goes to those who
//     asked for no more of it than that.
//   - changedSince: the story has a newer version than the alert's text.
type alertJSON struct {
	ID           string              `json:"id"`
	Story        string              `json:"story"`
	Revision     int                 `json:"revision"`
	State        string              `json:"state"`
	Level        string              `json:"level"`
	Language     string              `json:"language"`
	Texts        map[string]textJSON `json:"texts"`
	Audience     string              `json:"audience"`
	Sections     []string            `json:"sections"`
	Final        bool                `json:"final"`
	Deadline     *time.Time          `json:"deadline"`
	HoldUntil    *time.Time          `json:"holdUntil"`
	Hash         string              `json:"hash"`
	Author       string              `json:"author"`
	Submitter    string              `json:"submitter"`
	Approver     string              `json:"approver"`
	Releaser     string              `json:"releaser"`
	Reason       string              `json:"reason"`
	ChangedSince bool                `json:"changedSince"`
	Counts       countsJSON          `json:"counts"`
	Times        timesJSON           `json:"times"`
	Repairs      []repairJSON        `json:"repairs"`
}

type textJSON struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

type repairJSON struct {
	ID       string              `json:"id"`
	Kind     string              `json:"kind"`
	Revision int                 `json:"revision"`
	State    string              `json:"state"`
	Texts    map[string]textJSON `json:"texts"`
	Counts   countsJSON          `json:"counts"`
	Times    timesJSON           `json:"times"`
}

type countsJSON struct {
	Intended  int  `json:"intended"`
	Reachable int  `json:"reachable"`
	Held      int  `json:"held"`
	Accepted  int  `json:"accepted"`
	Gone      int  `json:"gone"`
	Failed    int  `json:"failed"`
	Ambiguous int  `json:"ambiguous"`
	Pending   int  `json:"pending"`
	Cancelled int  `json:"cancelled"`
	Expired   int  `json:"expired"`
	Shown     *int `json:"shown"` // null: not measured
}

func countsOf(c news.Counts, unmeasured bool) countsJSON {
	j := countsJSON{Intended: c.Intended, Reachable: c.Reachable, Held: c.Held, Accepted: c.Accepted, Gone: c.Gone, Failed: c.Failed,
		Ambiguous: c.Ambiguous, Pending: c.Pending, Cancelled: c.Cancelled, Expired: c.Expired}
	if !unmeasured {
		j.Shown = &c.Shown
	}
	return j
}

type timesJSON struct {
	Created       *time.Time `json:"created"`
	Released      *time.Time `json:"released"`
	FirstAccepted *time.Time `json:"firstAccepted"`
	P50           *float64   `json:"p50"`
	P90           *float64   `json:"p90"`
	P99           *float64   `json:"p99"`
	LastAccepted  *time.Time `json:"lastAccepted"`
}

func alertFrom(v View) alertJSON {
	a := v.Alert
	j := alertJSON{ID: a.ID, Story: a.StoryURI, Revision: a.Revision, State: string(a.State), Level: a.Level.String(),
		Language: a.Language, Texts: textsTo(a.Texts), Audience: a.Audience, Sections: append([]string{}, a.Sections...),
		Final: a.Final, Deadline: timeOrNil(a.Deadline), Hash: a.Hash(), Author: a.Author,
		Submitter: a.Submitter, Approver: a.Approver, Releaser: a.Releaser, Reason: a.Reason,
		ChangedSince: v.ChangedSince, Counts: countsOf(news.Counts{}, v.Unmeasured), Repairs: []repairJSON{},
		Times: timesJSON{Created: timeOrNil(a.CreatedAt), Released: timeOrNil(a.ReleasedAt)}}
	if a.State == news.AlertHolding { // one that is held keeps the time, and waits for nothing
		j.HoldUntil = timeOrNil(a.HoldUntil)
	}
	if v.First != nil {
		j.Counts = countsOf(v.First.Figures.Counts, v.Unmeasured)
		j.Times = timesOf(a.CreatedAt, v.First)
		j.Deadline = timeOrNil(v.First.Release.Deadline)
	}
	for i := range v.Repairs {
		r := &v.Repairs[i]
		j.Repairs = append(j.Repairs, repairJSON{ID: r.Release.ID, Kind: string(r.Release.Kind), Revision: r.Release.Revision,
			State: string(r.Release.State), Texts: textsTo(r.Release.Texts), Counts: countsOf(r.Figures.Counts, v.Unmeasured),
			Times: timesOf(r.Release.ReleasedAt, r)})
	}
	return j
}

func timesOf(created time.Time, s *Sent) timesJSON {
	t := s.Figures.Timing
	return timesJSON{Created: timeOrNil(created), Released: timeOrNil(s.Release.ReleasedAt),
		FirstAccepted: timeOrNil(t.First), LastAccepted: timeOrNil(t.Last),
		P50: quantile(t, 0.5), P90: quantile(t, 0.9), P99: quantile(t, 0.99)}
}

// quantile is in seconds with three decimals; nil without observations.
func quantile(t news.Timing, q float64) *float64 {
	if t.First.IsZero() {
		return nil
	}
	seconds := math.Round(t.Quantile(q).Seconds()*1000) / 1000
	return &seconds
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func textsTo(texts map[string]news.Text) map[string]textJSON {
	out := make(map[string]textJSON, len(texts))
	for l, t := range texts {
		out[l] = textJSON(t)
	}
	return out
}

func textsFrom(texts map[string]textJSON) map[string]news.Text {
	if texts == nil {
		return nil
	}
	out := make(map[string]news.Text, len(texts))
	for l, t := range texts {
		out[l] = news.Text(t)
	}
	return out
}
