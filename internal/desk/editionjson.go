package desk

import (
	"time"

	"dateline/internal/news"
)

// editionsJSON is a list of editions on the wire.
type editionsJSON struct {
	Editions []editionJSON `json:"editions"`
	Totals   totalsJSON    `json:"totals"`
}

// editionJSON is an edition on the wire, for the OpenAPI document. opens and
// clicks are null where nobody counts them; complaints and left are among sent.
type editionJSON struct {
	ID         string                    `json:"id"`
	LocalDate  string                    `json:"localDate"`
	Timezone   string                    `json:"timezone"`
	Hour       int                       `json:"hour"`
	Weekly     bool                      `json:"weekly"`
	At         time.Time                 `json:"at"`
	State      string                    `json:"state"`
	Counts     editionCounts             `json:"counts"`
	Complaints int                       `json:"complaints"`
	Left       int                       `json:"left"`
	Opens      *int                      `json:"opens"`
	Clicks     *int                      `json:"clicks"`
	Providers  map[string]providerCounts `json:"providers"`
	Reasons    map[string]int            `json:"reasons"`
	Pauses     []pauseJSON               `json:"pauses"`
}

// editionCounts are mails: due is the sum of the others.
type editionCounts struct {
	Due        int `json:"due"`
	Waiting    int `json:"waiting"`
	UnderWay   int `json:"underWay"`
	Sent       int `json:"sent"`
	Deferred   int `json:"deferred"`
	Bounced    int `json:"bounced"`
	Unknown    int `json:"unknown"`
	Expired    int `json:"expired"`
	Suppressed int `json:"suppressed"`
	Empty      int `json:"empty"`
}

// providerCounts are those of one mailbox provider.
type providerCounts struct {
	editionCounts
	Hard       int `json:"hard"`
	Complaints int `json:"complaints"`
	Left       int `json:"left"`
}

type totalsJSON struct {
	Counts     editionCounts `json:"counts"`
	Complaints int           `json:"complaints"`
	Left       int           `json:"left"`
}

type pauseJSON struct {
	Provider  string     `json:"provider"`
	Reason    string     `json:"reason"`
	Detail    string     `json:"detail"`
	At        time.Time  `json:"at"`
	By        string     `json:"by"`
	ResumedAt *time.Time `json:"resumedAt"`
	ResumedBy string     `json:"resumedBy"`
}

// planJSON is a plan on the wire; version is what a change has to name.
type planJSON struct {
	Date      string            `json:"date"`
	Weekly    bool              `json:"weekly"`
	Notes     map[string]string `json:"notes"`
	Pins      []string          `json:"pins"`
	Drops     []string          `json:"drops"`
	Version   int64             `json:"version"`
	ChangedBy string            `json:"changedBy"`
	ChangedAt *time.Time        `json:"changedAt"`
}

func editionCountsTo(f *news.EditionFigures) editionCounts {
	return editionCounts{Due: f.Due, Waiting: f.Waiting, UnderWay: f.UnderWay, Sent: f.Sent, Deferred: f.Deferred, Bounced: f.Bounced, Unknown: f.Unknown,
		Expired: f.Expired, Suppressed: f.Suppressed, Empty: f.Empty}
}

func totalsTo(f *news.EditionFigures) totalsJSON {
	return totalsJSON{Counts: editionCountsTo(f), Complaints: f.Complaints, Left: f.Left}
}

func (d *Service) editionTo(a *news.EditionAccount) editionJSON {
	j := editionJSON{ID: a.ID, LocalDate: a.LocalDate, Timezone: a.Timezone, Hour: a.Hour, Weekly: a.Weekly, At: a.At.UTC(), State: string(stateOf(a)),
		Counts: editionCountsTo(&a.EditionFigures), Complaints: a.Complaints, Left: a.Left, Providers: map[string]providerCounts{},
		Reasons: map[string]int{}, Pauses: []pauseJSON{}}
	if d.counted {
		j.Opens, j.Clicks = &a.Opens, &a.Clicks
	}
	for name, f := range a.Providers {
		j.Providers[name] = providerCounts{editionCountsTo(&f), f.Hard, f.Complaints, f.Left}
	}
	for reason, n := range a.Reasons {
		j.Reasons[reason] = n
	}
	for _, p := range a.Pauses {
		j.Pauses = append(j.Pauses, pauseJSON{p.Provider, string(p.Reason), p.Detail, p.At.UTC(), p.By, timeOrNil(p.ResumedAt), p.ResumedBy})
	}
	return j
}

func planTo(p *news.EditionPlan) planJSON {
	j := planJSON{Date: p.LocalDate, Weekly: p.Weekly, Notes: p.Notes, Pins: append([]string{}, p.Pins...), Drops: append([]string{}, p.Drops...),
		Version: p.Version, ChangedBy: p.ChangedBy, ChangedAt: timeOrNil(p.ChangedAt)}
	if j.Notes == nil {
		j.Notes = map[string]string{}
	}
	return j
}
