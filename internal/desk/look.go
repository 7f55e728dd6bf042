package desk

import (
	"context"
	"fmt"

	"dateline/internal/news"
)

// newest is how many alerts a list without a story shows.
const newest = 50

// View is an alert as the desk shows it: with what was sent of it.
type View struct {
	Alert news.Alert
	// First is the alert's first release; nil before. Repairs are what followed
	// it, oldest first.
	First   *Sent
	Repairs []Sent
	// ChangedSince says that the story has a newer version than the one the
	// alert's text is from.
	ChangedSince bool
	// Unmeasured says that no device is asked whether it showed anything.
	Unmeasured bool
}

// Sent is one release and how it went, up to now.
type Sent struct {
	Release news.Release
	Figures news.ReleaseFigures
}

// final reports whether nothing of the alert is on its way any more: no figure
// changes but that of late receipts, until somebody takes a step.
func (v *View) final() bool {
	if v.First == nil {
		return false
	}
	for _, s := range append([]Sent{*v.First}, v.Repairs...) {
		over := s.Release.State == news.ReleaseSent || s.Release.State == news.ReleaseStopped
		if c := s.Figures.Counts; !over || c.Pending > 0 || c.Held > 0 {
			return false
		}
	}
	return true
}

// Alert shows one alert.
func (d *Service) Alert(ctx context.Context, id string) (View, error) {
	a, err := d.store.Alert(ctx, id)
	if err != nil {
		return View{}, fmt.Errorf("desk: alert %s: %w", id, err)
	}
	views, err := d.views(ctx, []news.Alert{a})
	if err != nil {
		return View{}, err
	}
	return views[0], nil
}

// AlertsOfStory shows every alert of a story, newest first; an unknown story
// has none.
func (d *Service) AlertsOfStory(ctx context.Context, uri string) ([]View, error) {
	alerts, err := d.store.AlertsOfStory(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("desk: alerts of %s: %w", uri, err)
	}
	return d.views(ctx, alerts)
}

// Newest shows the newest alerts of all stories.
func (d *Service) Newest(ctx context.Context) ([]View, error) {
	alerts, err := d.store.Alerts(ctx, nil, newest)
	if err != nil {
		return nil, fmt.Errorf("desk: newest alerts: %w", err)
	}
	return d.views(ctx, alerts)
}

func (d *Service) views(ctx context.Context, alerts []news.Alert) ([]View, error) {
	versions := map[string]int64{}
	views := make([]View, 0, len(alerts))
	for _, a := range alerts {
		if _, known := versions[a.StoryURI]; !known {
			s, err := d.store.Story(ctx, a.StoryURI)
			if err != nil {
				return nil, fmt.Errorf("desk: story %s of alert %s: %w", a.StoryURI, a.ID, err)
			}
			versions[a.StoryURI] = s.Version
		}
		v, err := d.view(ctx, a, versions[a.StoryURI])
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// view adds to an alert what was sent of it.
func (d *Service) view(ctx context.Context, a news.Alert, storyVersion int64) (View, error) {
	v := View{Alert: a, ChangedSince: storyVersion > a.StoryVersion, Unmeasured: d.unmeasured}
	releases, err := d.store.ReleasesOfAlert(ctx, a.ID)
	if err != nil {
		return View{}, fmt.Errorf("desk: releases of alert %s: %w", a.ID, err)
	}
	if len(releases) == 0 {
		return v, nil
	}
	ids := make([]string, 0, len(releases))
	for _, r := range releases {
		ids = append(ids, r.ID)
	}
	figures, err := d.store.ReleaseFigures(ctx, ids)
	if err != nil {
		return View{}, fmt.Errorf("desk: figures of alert %s: %w", a.ID, err)
	}
	for _, r := range releases {
		sent := Sent{Release: r, Figures: figures[r.ID]}
		if !r.Repair() && v.First == nil {
			v.First = &sent
			continue
		}
		v.Repairs = append(v.Repairs, sent)
	}
	return v, nil
}
