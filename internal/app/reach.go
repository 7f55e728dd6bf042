package app

import (
	"context"

	"dateline/internal/audience"
	"dateline/internal/desk"
	"dateline/internal/dispatch"
	"dateline/internal/news"
)

// reacher counts whom an alert would reach by the very matcher that will plan
// it, over the cells this process holds; nil where it holds none by role.
func reacher(a *App) desk.Reacher {
	if !a.cfg.Has(RoleDispatch) {
		return nil
	}
	return reachOf(a.dispatch)
}

// reachOf counts over the devices of one dispatcher.
func reachOf(d *dispatch.Service) desk.Reacher {
	return func(alert news.Alert) desk.Reach {
		t := d.Reach(context.Background(), &alert)
		return desk.Reach{Devices: t.Devices, Held: t.Held, Unreachable: t.Quarantined, Capped: t.Reasons[audience.Capped],
			Regions: t.Regions, Languages: t.Texts, Hours: t.Hours, Here: d.Audience().Size().Active}
	}
}

// watcher counts how far a release has come in the cells this process holds; nil
// where it holds none by role.
func watcher(a *App) desk.Watcher {
	if !a.cfg.Has(RoleDispatch) {
		return nil
	}
	return watcherOf(a.dispatch)
}

// watcherOf counts in the cells of this dispatcher.
func watcherOf(d *dispatch.Service) desk.Watcher {
	watch := dispatch.NewWatch(d)
	return func(ctx context.Context, releaseID string) (desk.Progress, error) {
		p, err := watch.Progress(ctx, releaseID)
		return desk.Progress(p), err
	}
}
