package app

import (
	"context"
	"fmt"
	"slices"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/site"
	"dateline/internal/store"
)

// explainer answers "why did I get this?" from the ledger and the same rules
// that made the plan.
type explainer struct{ store *store.Store }

// Explain says whether the device was sent the alert and which rule decided.
func (e explainer) Explain(ctx context.Context, alert news.Alert, device news.Device) (site.Explanation, error) {
	releases, err := e.store.ReleasesOfAlert(ctx, alert.ID)
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alert.ID, err)
	}
	ids := make([]string, 0, len(releases))
	for _, r := range releases {
		ids = append(ids, r.ID)
	}
	rows, err := e.store.Ledger(ctx, ids, []int{device.Cell})
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alert.ID, err)
	}
	got := false
	for _, row := range rows {
		got = got || row.Reached().Contains(device.Number)
	}
	if got {
		why := audience.Matched
		if alert.Final && slices.Contains(device.Wishes.OverStories, alert.StoryURI) {
			why = audience.StoryOver
		}
		return site.Explanation{Got: true, Reason: string(why), Words: audience.Words(why)}, nil
	}
	expr, err := region.Parse(alert.Audience)
	if err != nil {
		return site.Explanation{}, fmt.Errorf("explain alert %s: %w", alert.ID, err)
	}
	q := audience.Query{StoryURI: alert.StoryURI, Level: alert.Level, Expr: expr, Sections: alert.Sections,
		Language: alert.Language, Now: alert.ReleasedAt, Final: alert.Final}
	for l := range alert.Texts {
		q.Languages = append(q.Languages, l)
	}
	verdict := audience.New().NewMatcher(q).Judge(device, 0)
	return site.Explanation{Reason: string(verdict.Reason), Words: audience.Words(verdict.Reason)}, nil
}
