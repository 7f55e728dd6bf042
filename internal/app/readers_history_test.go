package app

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"dateline/internal/news"
)

// What there is to read in BenchmarkReaders: ten alerts a day for 30 days, each to
// a third of the devices.
const (
	readersAlerts = 300
	readersAsked  = 20 // pages a second
)

// publish brings alerts that went out, with their ledger.
func (c *crowd) publish(devices int) {
	c.b.Helper()
	ctx, began := c.b.Context(), time.Now()
	var leases []news.Lease
	for len(leases) < news.Cells { // beside a database they come a little later
		var err error
		if leases, err = c.app.store.RenewCells(ctx, c.app.holder, 30*time.Second); err != nil || time.Since(began) > time.Minute {
			c.b.Fatalf("%d cells, %v", len(leases), err)
		}
	}
	none := func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil }
	for n := range readersAlerts {
		at := began.Add(-time.Duration(readersAlerts-n) * 30 * 24 * time.Hour / readersAlerts)
		uri := fmt.Sprintf("https://news.example/%d", n)
		story := news.Story{URI: uri, Version: 1, Status: news.Usable, Headline: fmt.Sprintf("Story %d", n), Language: "en", URL: uri,
			Regions: []string{"JP"}, Created: at, Urgency: 2, Hash: uri}
		if _, _, err := c.app.store.StoreStory(ctx, story, none); err != nil {
			c.b.Fatal(err)
		}
		texts := map[string]news.Text{"en": {Title: story.Headline, Body: "What happened."}}
		a := news.Alert{ID: newID(), StoryURI: uri, StoryVersion: 1, State: news.AlertDraft, Level: news.LevelBulletin, Texts: texts, Language: "en",
			Audience: "JP", Deadline: at.Add(time.Hour), Author: "mira", CreatedAt: at}
		if err := c.app.store.CreateAlert(ctx, a, news.AuditEntry{By: "mira", Action: "draft", Subject: "alert/" + a.ID}); err != nil {
			c.b.Fatal(err)
		}
		r := &news.Release{ID: newID(), AlertID: a.ID, StoryURI: uri, Kind: news.ReleaseAlert, State: news.ReleaseSent, Level: a.Level, Texts: texts,
			Language: "en", Audience: "JP", Regions: story.Regions, Navigate: uri, Deadline: a.Deadline, ReleasedAt: at, Phase: news.PhaseAll}
		if _, err := c.app.store.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			a.State = news.AlertSent
			return news.AlertAction{Release: r, Audit: "send", By: "mira"}, nil
		}); err != nil {
			c.b.Fatal(err)
		}
		rows := make([]*news.LedgerRow, len(leases))
		for i, lease := range leases {
			rows[i] = sentRow(r.ID, lease, devices/news.Cells, n%3)
		}
		if err := c.app.store.SaveLedger(ctx, c.app.holder, rows); err != nil {
			c.b.Fatal(err)
		}
		c.alerts = append(c.alerts, a.ID)
	}
	c.b.Logf("%d alerts in %.0f s", readersAlerts, time.Since(began).Seconds())
}

// sentRow is a cell of which every third device was sent a release.
func sentRow(releaseID string, lease news.Lease, devices, from int) *news.LedgerRow {
	row := news.NewLedgerRow(releaseID, lease.Cell)
	row.Fence, row.Settled = lease.Fence, true
	for number := from; number <= devices+devices/10; number += 3 {
		for _, set := range []*news.Numbers{row.Planned, row.Opened, row.Accepted} {
			set.Add(uint32(number))
		}
	}
	return row
}

// The archive and one alert of it; a reader's page with what came to her; her
// data; and, at the end, herself erased.
func (c *crowd) archive(int) error { return c.ask("GET", "/alerts", "", nil, http.StatusOK, nil) }
func (c *crowd) alert(n int) error {
	return c.ask("GET", "/alerts/"+c.alerts[n%len(c.alerts)], "", nil, http.StatusOK, nil)
}
func (c *crowd) see(n int) error {
	return c.ask("GET", "/api/v1/subscriptions/"+c.own[n].ID, c.own[n].Token, nil, http.StatusOK, &c.own[n])
}
func (c *crowd) manage(n int) error {
	at, err := url.Parse(c.own[n].Manage)
	if err != nil {
		return err
	}
	return c.ask("GET", at.Path, "", nil, http.StatusOK, nil)
}
func (c *crowd) export(n int) error {
	return c.ask("GET", "/api/v1/subscriptions/"+c.own[n].ID+"/data", c.own[n].Token, nil, http.StatusOK, nil)
}
func (c *crowd) wipe(n int) error {
	return c.ask("DELETE", "/api/v1/subscriptions/"+c.own[n].ID+"/data", c.own[n].Token, nil, http.StatusNoContent, nil)
}
