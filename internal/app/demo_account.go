package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// account is what the demo found.
type account struct {
	stories   int
	latencies []time.Duration // PubAck to the first phone that showed it
	timed     string          // the alert timed last: not every story raises one
	digests   news.DigestFigures
	lost      int // phones that should have shown an alert and did not
	wrong     int // phones that showed one they should not have
	checked   bool
}

// verdict is the exit of `demo --once`.
func (a *account) verdict() error {
	switch {
	case !a.checked:
		return nil // stopped before the end
	case a.lost+a.wrong > 0:
		return fmt.Errorf("lost %d, wrong %d", a.lost, a.wrong)
	case a.digests.Sent == 0 && a.digests.Due > 0:
		return fmt.Errorf("no digest was sent of %d due", a.digests.Due)
	}
	return nil
}

// tell says how the alerts went: the breaking one by itself, the others
// together.
func (d *demo) tell(ctx context.Context) error {
	releases, figures, err := d.sent(ctx)
	if err != nil {
		return err
	}
	var others news.Counts
	count := 0
	for _, r := range releases {
		if r.Level == news.LevelFlash {
			if err := d.tellBreaking(ctx, r, figures[r.ID]); err != nil {
				return err
			}
			continue
		}
		count++
		others.Add(figures[r.ID].Counts)
	}
	d.say("  notices     %s: %d accepted, %d held back for quiet hours", number(count, "more alert", "more alerts"), others.Accepted, others.Held)
	if p50, ok := median(d.account.latencies); ok {
		d.say("  latency     acknowledged to first phone (simulated): p50 %s over %s", round(p50),
			number(len(d.account.latencies), "alert", "alerts"))
	}
	return nil
}

func (d *demo) tellBreaking(ctx context.Context, r news.Release, f news.ReleaseFigures) error {
	story, err := d.app.store.Story(ctx, r.StoryURI)
	if err != nil {
		return err
	}
	c, t := f.Counts, &f.Timing
	d.say("  breaking    %s %s", region.Dateline(story.Regions[0], story.Created, "en"), r.Texts[r.Language].Title)
	d.say("              %s to %s: matched %d of %d, accepted %d, gone %d, held %d", r.Level, region.Words(r.Audience, "en"),
		c.Intended, len(d.phones), c.Accepted, c.Gone, c.Held)
	d.say("              %s", times(r.ReleasedAt, t))
	return nil
}

// times says how soon an alert was accepted.
func times(released time.Time, t *news.Timing) string {
	if t.First.IsZero() {
		return "no phone was there to take it"
	}
	return fmt.Sprintf("first %s · 50 %% in %s · 90 %% in %s · 99 %% in %s (simulated push services on this machine)",
		round(t.First.Sub(released)), round(t.Quantile(0.5)), round(t.Quantile(0.9)), round(t.Quantile(0.99)))
}

// sent lists the releases of the day and how they went.
func (d *demo) sent(ctx context.Context) ([]news.Release, map[string]news.ReleaseFigures, error) {
	releases, err := d.app.store.ReleasesSince(ctx, time.Now().Add(-time.Hour))
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(releases, func(a, b news.Release) int { return a.ReleasedAt.Compare(b.ReleasedAt) })
	ids := make([]string, 0, len(releases))
	for _, r := range releases {
		ids = append(ids, r.ID)
	}
	figures, err := d.app.store.ReleaseFigures(ctx, ids)
	return releases, figures, err
}

// check holds every phone against the judge, for every alert of the day.
func (d *demo) check(ctx context.Context) error {
	d.task("checking every phone")
	releases, _, err := d.sent(ctx)
	if err != nil {
		return err
	}
	j := newJudge()
	for n, p := range d.phones {
		got := map[string]bool{}
		for _, m := range p.Received() {
			got[m.Notification.Alert] = true
		}
		d.checkPhone(j, p.Wishes, releases, got)
		d.progress.Set(int64(n+1), int64(len(d.phones)))
	}
	d.account.checked = true
	d.progress.Done()
	d.say("  checked     every phone against a second reading of the rules: lost %d, wrong %d", d.account.lost, d.account.wrong)
	return nil
}

// checkPhone counts what one phone lacks and what it has too much. Where an
// alert went out in the very minute in which the reader's quiet hours begin or
// end, either is right.
func (d *demo) checkPhone(j *judge, w news.Wishes, releases []news.Release, got map[string]bool) {
	sentToday := 0
	for _, r := range releases {
		if r.Repair() {
			continue // the day repairs nothing
		}
		should := j.of(w, r, sentToday)
		later := r
		later.ReleasedAt = r.ReleasedAt.Add(5 * time.Second)
		if should != j.of(w, later, sentToday) {
			should = notHers
			if got[r.AlertID] {
				should = hers
			}
		}
		switch {
		case should == hers && !got[r.AlertID]:
			d.account.lost++
		case should != hers && got[r.AlertID]:
			d.account.wrong++
		}
		flashFree := r.Level == news.LevelFlash && (w.Quiet == nil || w.Quiet.Flash)
		if should == hers && !flashFree {
			sentToday++
		}
	}
}

func median(d []time.Duration) (time.Duration, bool) {
	if len(d) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2], true
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
