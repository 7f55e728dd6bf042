package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/site"
	"dateline/internal/store"
)

// explainer answers "why did I get this?" from the ledger and the same rules
// that made the plan.
type explainer struct{ store *store.Store }

// queryOf is a release as the rules look at it.
func queryOf(r news.Release) (audience.Query, error) {
	expr, err := region.Parse(r.Audience)
	if err != nil {
		return audience.Query{}, fmt.Errorf("audience of release %s: %w", r.ID, err)
	}
	q := audience.Query{StoryURI: r.StoryURI, Level: r.Level, Expr: expr, Sections: r.Sections, Language: r.Language, Now: r.ReleasedAt, Final: r.Final}
	for l := range r.Texts {
		q.Languages = append(q.Languages, l)
	}
	return q, nil
}

// Explain says whether the device was sent the alert and which rule decided.
// What the ledger knows goes first; the rules are asked with what the reader
// wants now, and where they disagree with the ledger she has changed it since.
func (e explainer) Explain(ctx context.Context, alertID string, device news.Device) (site.Explanation, error) {
	releases, err := e.store.ReleasesOfAlert(ctx, alertID)
	if err == nil && len(releases) == 0 {
		err = news.ErrNotFound
	}
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alertID, err)
	}
	q, err := queryOf(releases[0])
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain: %w", err)
	}
	got, fate, err := e.fate(ctx, releases, device)
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alertID, err)
	}
	if fate != "" {
		return site.Explanation{Reason: fate}, nil
	}
	hadStory, err := e.hadStory(ctx, releases[0], device)
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alertID, err)
	}
	asked := q.Final && slices.Contains(device.Wishes.OverStories, q.StoryURI) // the rule lets it past what she had
	if !got && hadStory && !asked && device.State == news.DeviceActive {
		return site.Explanation{Reason: string(audience.AlreadySent)}, nil
	}
	today := 0
	// Only where a cap can be what decided is it worth counting her day.
	if !got && audience.Explain(q, device, math.MaxInt).Reason == audience.Capped {
		if today, err = e.today(ctx, releases[0], device); err != nil {
			return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alertID, err)
		}
	}
	cause := audience.Explain(q, device, today)
	if planned := cause.Reason.Planned() || cause.Reason == audience.Capped; got {
		if cause.Reason != audience.StoryOver {
			cause.Reason = audience.Matched
		}
		if !planned {
			return site.Explanation{Got: true, Reason: site.ReasonChanged}, nil
		}
	} else if cause.Reason.Planned() {
		return site.Explanation{Reason: site.ReasonMissed}, nil
	}
	out := site.Explanation{Got: got, Reason: string(cause.Reason), Places: cause.Places, Sections: cause.Sections, Until: cause.Until}
	for _, d := range cause.Demands {
		out.Demands = append(out.Demands, site.Demand(d))
	}
	return out, nil
}

// fate is what the ledger says of the device: sent, or what kept a planned send
// from it; "" when it was not planned.
func (e explainer) fate(ctx context.Context, releases []news.Release, device news.Device) (got bool, fate string, err error) {
	ids := make([]string, 0, len(releases))
	for _, r := range releases {
		ids = append(ids, r.ID)
	}
	rows, err := e.store.Ledger(ctx, ids, []int{device.Cell})
	if err != nil {
		return false, "", err
	}
	for _, row := range rows {
		got = got || row.Reached().Contains(device.Number)
	}
	for _, row := range rows {
		if got || row.ReleaseID != releases[0].ID || !row.Planned.Contains(device.Number) {
			continue
		}
		switch n := device.Number; {
		case row.Held.Contains(n):
			fate = string(audience.HeldQuiet)
		case row.Cancelled.Contains(n):
			fate = site.ReasonStopped
		case row.Expired.Contains(n):
			fate = site.ReasonLate
		case row.Failed.Contains(n), row.Gone.Contains(n):
			fate = site.ReasonFailed
		default:
			fate = site.ReasonUnderWay
		}
	}
	return got, fate, nil
}

// today is how many alerts that count for her cap a subscriber had been sent
// before the release, on her local day.
func (e explainer) today(ctx context.Context, r news.Release, device news.Device) (int, error) {
	zone, err := time.LoadLocation(device.Wishes.Timezone)
	if err != nil {
		zone = time.UTC
	}
	y, m, d := r.ReleasedAt.In(zone).Date()
	sent, err := e.store.SentTo(ctx, device.SubscriberID, time.Date(y, m, d, 0, 0, 0, 0, zone), r.ReleasedAt, 0)
	today := 0
	for _, s := range sent {
		counts := s.Level < news.LevelFlash || device.Wishes.Quiet != nil && !device.Wishes.Quiet.Flash
		if s.Kind == news.ReleaseAlert && s.ID != r.ID && counts {
			today++
		}
	}
	return today, err
}

// hadStory: the device had been sent the story before the release, at its level
// or a higher one.
func (e explainer) hadStory(ctx context.Context, r news.Release, device news.Device) (bool, error) {
	others, err := e.store.ReleasesOfStory(ctx, r.StoryURI)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return false, err
	}
	for _, o := range others {
		if o.Revision >= r.Revision || o.AlertID == r.AlertID || o.Kind == news.ReleaseKill || o.Level < r.Level {
			continue
		}
		if got, _, err := e.fate(ctx, []news.Release{o}, device); err != nil || got {
			return got, err
		}
	}
	return false, nil
}
